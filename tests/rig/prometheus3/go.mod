// The Prometheus that the simulated one is compared with: the version whose PromQL promql-parser follows.
module kansole.dev/rig/prometheus3

go 1.26.0

require github.com/prometheus/prometheus v0.308.1
