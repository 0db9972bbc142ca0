#!/usr/bin/env bash
# minimise.sh [TARGET...]: replaces the corpora in the repository (tests/fuzz/corpus/TARGET) by at most 40 small inputs that reach most of the code that all
# inputs of the fuzzers (BUILD/corpus, or FUZZ_CORPUS) and the seeds reach. Build first (run.sh). FUZZ_BUILD names another build folder.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
here=$root/tests/fuzz
build=${FUZZ_BUILD:-$root/build/fuzz}
found=${FUZZ_CORPUS:-$build/corpus}
largest=${FUZZ_LARGEST:-1024}  # bytes of an input
most=40 most_bytes=24000       # of a target: those that reach most come first
targets=("$@")
[ ${#targets[@]} -gt 0 ] || for source in "$here"/fuzz_*.cpp; do name=${source##*/fuzz_}; targets+=("${name%.cpp}"); done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$build/bin/fuzz_seeds" "$work/seeds"

for target in "${targets[@]}"; do
  out=$work/$target inputs=("$work/seeds/$target")
  mkdir -p "$out" "$found/$target" "$here/corpus/$target"
  inputs+=("$here/corpus/$target" "$found/$target")
  # The smallest set that libFuzzer finds, for edges alone and not for how often each is taken: a few dozen inputs.
  "$build/bin/fuzz_$target" -set_cover_merge=1 -use_counters=0 -max_len="$largest" "$out" "${inputs[@]}" >"$work/log" 2>&1 || { tail -5 "$work/log"; exit 1; }
  rm -f "$here/corpus/$target"/*
  number=0 bytes=0
  for input in $(ls -tr "$out"); do  # libFuzzer writes those first that reach most
    bytes=$((bytes + $(stat -c %s "$out/$input")))
    [ "$number" -lt "$most" ] && [ "$bytes" -lt "$most_bytes" ] || break
    cp "$out/$input" "$here/corpus/$target/$(printf %02d $number)"
    number=$((number + 1))
  done
  echo "$target: $number inputs, $(du -bc "$here/corpus/$target"/* | tail -1 | cut -f1) bytes"
done
