#!/bin/sh
# Starts an empty Prometheus 3 on a free loopback port and runs tests/promql_differential against it: the same samples
# and requests to it and to the simulated one. Builds it from Go modules the first time (tests/rig/prometheus3; into
# ~/.cache/kansole-rig or KANSOLE_RIG_CACHE); PROMETHEUS=path takes another binary. Leaves nothing behind.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build() {
    module=$here/rig/prometheus3
    cache=${KANSOLE_RIG_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/kansole-rig}/prometheus-$(cat "$module/go.mod" "$module/go.sum" | sha256sum | cut -c1-16)
    binary=$cache/prometheus
    [ -x "$binary" ] && return
    command -v go >/dev/null || { echo "please install: go (1.26 or newer)" >&2; exit 1; }
    mkdir -p "$cache"
    (
        flock 9
        [ -x "$binary" ] && exit
        echo "building Prometheus into $cache (two minutes of one core)" >&2
        export CGO_ENABLED=0 GOTOOLCHAIN=local GOWORK=off GOFLAGS=''
        # Its own source and the versions it pins itself, checked against go.sum; without the clouds it can discover
        # targets in, which are half of what there is to compile and nothing of what is compared.
        source=$(cd "$module" && go mod download -json github.com/prometheus/prometheus | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
        rm -rf "$cache/source"
        cp -r "$source" "$cache/source"
        chmod -R u+w "$cache/source"
        rm "$cache/source/plugins/plugins.go"
        cd "$cache/source"
        nice -n 5 go build -mod=readonly -trimpath -buildvcs=false -p "${KANSOLE_RIG_JOBS:-2}" -ldflags '-s -w' \
            -o "$binary.new" ./cmd/prometheus
        mv "$binary.new" "$binary"
        rm -rf "$cache/source"
    ) 9>"$cache/lock"
}
binary=${PROMETHEUS:-}
[ -n "$binary" ] || build
dir=$(mktemp -d)
pid=
stop() {
    [ -z "$pid" ] || { kill "$pid" 2>/dev/null; wait "$pid" 2>/dev/null; } || true
    rm -rf "$dir"
}
trap stop EXIT INT TERM
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
printf 'global: {evaluation_interval: 1m}\n' >"$dir/prometheus.yml"
"$binary" --config.file="$dir/prometheus.yml" --storage.tsdb.path="$dir/data" --storage.tsdb.retention.time=100y \
    --web.listen-address="127.0.0.1:$port" --web.enable-remote-write-receiver \
    --enable-feature=promql-experimental-functions >"$dir/log" 2>&1 &
pid=$!
for try in $(seq 60); do
    curl -sf "http://127.0.0.1:$port/-/ready" >/dev/null && break
    [ "$try" != 60 ] || { cat "$dir/log" >&2; exit 1; }
    sleep 0.5
done
export KANSOLE_REAL_PROMETHEUS="http://127.0.0.1:$port"
${CARGO_TEST:-cargo test --features rig} --test promql_differential "$@" -- --nocapture
