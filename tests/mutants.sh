#!/usr/bin/env bash
# Does a test fail when a guardrail is changed? Mutates the guardrails one by one and runs the tests of their room. (That
# each gate is missed when it is removed as a whole is a test of its own: execute::gates::removed.)
#   tests/mutants.sh              every gate removed as a whole, by mutation (about a minute each)
#   tests/mutants.sh all          every mutation of gates, guard, ladder, windows, Lease, kill switch and history (hours)
#   tests/mutants.sh FILE...      every mutation of these files
# Works on a copy; survivors are in $OUT/mutants.out/missed.txt, and the exit code is not 0 if there are any.
set -euo pipefail

cd "$(dirname "$0")/.."
command -v cargo-mutants >/dev/null || { echo "please: cargo install cargo-mutants" >&2; exit 2; }
out=${OUT:-target/mutants}
mkdir -p "$out"

files=(src/execute/gates/*.rs)
pick=(--re 'replace .*g[0-9][0-9]_[a-z_]+ -> Vec<Refusal> with vec!\[\]' --re 'replace .*(approval|other_cluster).* with (vec!\[\]|None)')
case ${1:-} in
  "") ;;
  all)
    files+=(src/execute/{guard,ladder,window,work,lease,killswitch,history,touches,surroundings}.rs)
    pick=() ;;
  *) files=("$@") pick=() ;;
esac

args=()
for file in "${files[@]}"; do args+=(--file "$file"); done
# The target directory is copied, so that only the mutated crate is built again. The tests of this room are enough: a
# gate that only a test elsewhere would miss has no test of its own.
# Capping lints would build every dependency again.
exec nice -n 19 cargo mutants --no-shuffle --copy-target=true --cap-lints=false --timeout 180 --build-timeout 900 \
  --output "$out" "${args[@]}" "${pick[@]}" --cargo-arg=--lib -- -- execute::
