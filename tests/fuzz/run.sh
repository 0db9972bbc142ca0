#!/usr/bin/env bash
# run.sh [SECONDS] [TARGET...]: builds the fuzz preset and runs every target (or those named) for SECONDS each, 10 unless told.
# FUZZ_JOBS: so many at a time (1). FUZZ_BUILD: another build folder; its folder `crashes` keeps each target's log and reproducers.
# Last line: N passed, N failed.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export seconds=${1:-10}
shift || true
export build=${FUZZ_BUILD:-$root/build/fuzz} here=$root/tests/fuzz
targets=("$@")
[ ${#targets[@]} -gt 0 ] || for source in "$here"/fuzz_*.cpp; do name=${source##*/fuzz_}; targets+=("${name%.cpp}"); done

[ -f "$build/build.ninja" ] || cmake -S "$root" --preset fuzz -B "$build" >&2 || exit 1
ninja -C "$build" fuzz_seeds "${targets[@]/#/fuzz_}" >&2 || exit 1
export corpus=$build/corpus crashes=$build/crashes
mkdir -p "$corpus" "$crashes"
"$build/bin/fuzz_seeds" "$build/fuzz-seeds" || exit 1

# Peers own large tables: to fill each with a pattern would be most of the work.
export ASAN_OPTIONS=max_malloc_fill_size=256${ASAN_OPTIONS:+:$ASAN_OPTIONS}
export UBSAN_OPTIONS=print_stacktrace=1${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}

run_target() {
  local target=$1 log=$crashes/$1.log inputs=("$corpus/$1" "$build/fuzz-seeds/$1")
  mkdir -p "$corpus/$target"
  [ ! -d "$here/corpus/$target" ] || inputs+=("$here/corpus/$target")
  stat() { awk -v name="stat::$1:" '$1 == name {print $2}' "$log"; }
  if "$build/bin/fuzz_$target" -max_total_time="$seconds" -max_len=8192 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
      -artifact_prefix="$crashes/$target-" "${inputs[@]}" >"$log" 2>&1; then
    echo "ok   $target: $(stat number_of_executed_units) inputs, $(stat average_exec_per_sec) a second, $(grep -o 'cov: [0-9]*' "$log" | tail -1 | tr -dc 0-9) edges"
  else
    echo "FAIL $target: $(grep -m1 -E 'broken promise|ERROR|runtime error|what\(\)' "$log"); reproducer: $(grep -o 'Test unit written to .*' "$log" | tail -1)"
  fi
}
export -f run_target
printf '%s\n' "${targets[@]}" | xargs -P "${FUZZ_JOBS:-1}" -I{} bash -c 'run_target {}' | tee "$crashes/results"
passed=$(grep -c '^ok ' "$crashes/results")
echo "$passed passed, $((${#targets[@]} - passed)) failed"
[ "$passed" = ${#targets[@]} ]
