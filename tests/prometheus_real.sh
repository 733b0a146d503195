#!/bin/sh
# Makes a day of metrics with promtool, serves it with a real Prometheus on a free loopback port, and runs
# tests/prometheus_real.rs against it. Needs Debian's package `prometheus`. Leaves nothing behind.
set -eu
dir=$(mktemp -d)
stop() { "$dir/ctl" stop 2>/dev/null || true; rm -rf "$dir"; }
trap stop EXIT INT TERM
python3 - "$dir/day.om" <<'PY'
import sys, time
STEP, END = 30, int(time.time()) // 30 * 30 + 600    # a little into the future, so that "now" stays fresh
START = END - 24 * 3600
gap = lambda t: END - 600 - 10 * 3600 < t < END - 600 - 8 * 3600
cad = 'job="kubelet",metrics_path="/metrics/cadvisor"'
turn = END - 600 - 12 * 3600
pods = {"cart-5a5a5a5a-zzzzz": (START, turn), "cart-6b6b6b6b-aaaaa": (turn, END + 1), "cart-6b6b6b6b-bbbbb": (turn, END + 1),
        "broken-5c4d5c4d-qqqqq": (START, END + 1)}
# Classic cumulative buckets: per second 5 below 0.1 s, 9 below 0.5 s, 11 in all.
families = {"container_cpu_usage_seconds": "counter", "container_memory_working_set_bytes": "gauge",
            "http_requests": "counter", "http_request_duration_seconds": "histogram", "up": "gauge"}
with open(sys.argv[1], "w") as out:
    for family, kind in families.items():
        out.write(f"# TYPE {family} {kind}\n")
        for pod, (first, last) in pods.items():
            where = f'namespace="shop",pod="{pod}"'
            lines = []
            def series(name, labels, value):
                for t in range(START, END + 1, STEP):
                    if first <= t < last and not gap(t):
                        out.write(f"{name}{{{labels}}} {value(t)} {t}\n")
            if family == "container_cpu_usage_seconds":
                series(family + "_total", f'{cad},{where},container="app",image="app:1"', lambda t: (t - START) * 0.25)
                series(family + "_total", f'{cad},{where},container="",image=""', lambda t: (t - START) * 0.25)
            elif family == "container_memory_working_set_bytes":
                nan = pod.startswith("broken")
                series(family, f'{cad},{where},container="app",image="app:1"', lambda t: "NaN" if nan else 104857600)
            elif pod.startswith("broken"):
                pass
            elif family == "http_requests":
                series(family + "_total", f'job="cart",{where},code="200"', lambda t: (t - START) * 10)
                series(family + "_total", f'job="cart",{where},code="500"', lambda t: (t - START) * 1)
            elif family == "http_request_duration_seconds":
                for le, n in (("0.1", 5.5), ("0.5", 9), ("1.0", 10.9), ("+Inf", 11)):
                    series(family + "_bucket", f'job="cart",{where},le="{le}"', lambda t: (t - START) * n)
        if family == "up":
            for t in range(START, END + 1, STEP):
                if not gap(t):
                    out.write(f'up{{{cad},instance="n1"}} 1 {t}\n')
    out.write("# EOF\n")
PY
promtool tsdb create-blocks-from openmetrics --quiet "$dir/day.om" "$dir/data" >/dev/null
rm "$dir/day.om"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
printf 'global: {scrape_interval: 30s}\n' >"$dir/prometheus.yml"
# Starts and stops the server: the test of an outage uses it too.
cat >"$dir/ctl" <<CTL
#!/bin/sh
case \$1 in
start)
    prometheus --config.file="$dir/prometheus.yml" --storage.tsdb.path="$dir/data" --storage.tsdb.retention.time=30d \\
        --web.listen-address="127.0.0.1:$port" >>"$dir/log" 2>&1 &
    echo \$! >"$dir/pid"
    for try in \$(seq 60); do
        curl -sf "http://127.0.0.1:$port/-/ready" >/dev/null && exit 0
        sleep 0.5
    done
    cat "$dir/log" >&2
    exit 1
    ;;
stop)
    kill "\$(cat "$dir/pid")"
    while kill -0 "\$(cat "$dir/pid")" 2>/dev/null; do sleep 0.1; done
    rm "$dir/pid"
    ;;
esac
CTL
chmod +x "$dir/ctl"
"$dir/ctl" start
KANSOLE_REAL_PROMETHEUS="http://127.0.0.1:$port" KANSOLE_REAL_PROMETHEUS_CTL="$dir/ctl" \
    cargo test --features rig --test prometheus_real "$@" -- --test-threads=1
