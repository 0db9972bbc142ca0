#!/usr/bin/env bash
# run.sh [SECONDS] [TARGET...]: builds the fuzz preset and runs every target (or those named) for SECONDS each, 10 unless told.
# FUZZ_BUILD names another build folder. What crashed stays in its folder `crashes`. Last line: N passed, N failed.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
seconds=${1:-10}
shift || true
build=${FUZZ_BUILD:-$root/build/fuzz}
targets=("$@")
here=$root/tests/fuzz
[ ${#targets[@]} -gt 0 ] || for source in "$here"/fuzz_*.cpp; do name=${source##*/fuzz_}; targets+=("${name%.cpp}"); done

[ -f "$build/build.ninja" ] || cmake -S "$root" --preset fuzz -B "$build" >&2 || exit 1
ninja -C "$build" fuzz_seeds "${targets[@]/#/fuzz_}" >&2 || exit 1
corpus=$build/corpus crashes=$build/crashes
mkdir -p "$corpus" "$crashes"
"$build/bin/fuzz_seeds" "$corpus" || exit 1

# Peers own large tables: to fill each with a pattern would be most of the work.
export ASAN_OPTIONS=max_malloc_fill_size=256${ASAN_OPTIONS:+:$ASAN_OPTIONS}
passed=0 failed=0
for target in "${targets[@]}"; do
  log=$crashes/$target.log
  mkdir -p "$corpus/$target"
  known=()
  [ ! -d "$here/corpus/$target" ] || known=("$here/corpus/$target")
  if "$build/bin/fuzz_$target" -max_total_time="$seconds" -max_len=8192 -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
      -artifact_prefix="$crashes/$target-" "$corpus/$target" "${known[@]+"${known[@]}"}" >"$log" 2>&1; then
    passed=$((passed + 1))
    echo "ok   $target: $(awk '/number_of_executed_units/ {print $2}' "$log") inputs, $(grep -o 'cov: [0-9]*' "$log" | tail -1 | tr -dc 0-9) edges"
  else
    failed=$((failed + 1))
    echo "FAIL $target: $(grep -m1 -E 'broken promise|ERROR|runtime error' "$log"); reproducer: $(grep -o 'Test unit written to .*' "$log" | tail -1)"
  fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
