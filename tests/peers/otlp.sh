#!/bin/sh
# Real exporters against our receiver, and a real Jaeger against our reader: the OpenTelemetry SDK for Python (from PyPI), the
# collector's telemetrygen and Jaeger (Go modules). Each is built once and kept; what cannot be had here is told and left out,
# but the SDK must be there.
#
#     tests/peers/otlp.sh          everything
#     tests/peers/otlp.sh build    only what is needed
set -eu
cd "$(dirname "$0")/../.."
kept="${KANSOLE_PEERS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/kansole-peers}"
sdk=1.45.0
telemetrygen=v0.161.0
jaeger=v1.76.0
limit="${KANSOLE_PEERS_BUILD_SECONDS:-600}"

if [ ! -x "$kept/sdk-$sdk/bin/python" ] || [ ! -f "$kept/sdk-$sdk/complete" ]; then
  echo "building the OpenTelemetry SDK $sdk"
  rm -rf "$kept/sdk-$sdk"
  mkdir -p "$kept"
  python3 -m venv "$kept/sdk-$sdk"
  "$kept/sdk-$sdk/bin/pip" install -q --disable-pip-version-check "opentelemetry-sdk~=$sdk" \
    "opentelemetry-exporter-otlp-proto-grpc~=$sdk" "opentelemetry-exporter-otlp-proto-http~=$sdk"
  touch "$kept/sdk-$sdk/complete"
fi

# go_program NAME VERSION PACKAGE: as a module's dependency, for `go install` refuses modules with replacements.
go_program() {
  [ -x "$kept/$1-$2" ] && return 0
  if ! command -v go >/dev/null 2>&1; then
    echo "no go here: $1 is left out"
    return 0
  fi
  echo "building $1 $2"
  work=$(mktemp -d)
  if (cd "$work" && go mod init peers && go get "$3@$2" && timeout "$limit" go build -o "$kept/$1-$2" "$3") >"$work/log" 2>&1; then
    rm -rf "$work"
  else
    tail -n 5 "$work/log"
    echo "$1 could not be built within $limit s: it is left out"
    rm -rf "$work"
  fi
}
go_program telemetrygen "$telemetrygen" \
  github.com/open-telemetry/opentelemetry-collector-contrib/cmd/telemetrygen
go_program jaeger "$jaeger" github.com/jaegertracing/jaeger/cmd/jaeger
[ "${1:-}" = build ] && exit 0

KANSOLE_PEER_PYTHON="$kept/sdk-$sdk/bin/python"
export KANSOLE_PEER_PYTHON
[ -x "$kept/telemetrygen-$telemetrygen" ] && export KANSOLE_PEER_TELEMETRYGEN="$kept/telemetrygen-$telemetrygen"
[ -x "$kept/jaeger-$jaeger" ] && export KANSOLE_PEER_JAEGER="$kept/jaeger-$jaeger"
exec cargo test --features rig --test otlp_peers -- --nocapture --test-threads=1
