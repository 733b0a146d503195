#!/bin/sh
# Runs tests/hpa_differential on a rig of its own, whose autoscaler looks often, forgets soon, and can wait for the
# answers to all traces at once.
set -eu
cd "$(dirname "$0")/.."
prefix=--horizontal-pod-autoscaler
export KANSOLE_RIG_CONTROLLER_FLAGS="$prefix-sync-period=700ms $prefix-downscale-stabilization=3s \
    --concurrent-horizontal-pod-autoscaler-syncs=64"
exec tests/rig/rig run -- ${CARGO_TEST:-cargo test --features rig} --test hpa_differential "$@" -- --nocapture
