#!/bin/bash
# Runs a fuzz target on its corpus ($CORPUS) and on what libFuzzer makes of it.
#   fuzz_test.sh short PROGRAM RUNS DICTIONARY      the same inputs each time; fails on a finding
#   fuzz_test.sh long PROGRAM SECONDS DICTIONARY    other inputs each time; fails on a finding
#   fuzz_test.sh planted PROGRAM RUNS DICTIONARY    fails unless there is a finding
# DICTIONARY is a file, or - for none.
set -euo pipefail
mode=$1 program=$2 count=$3 dictionary=$4

work=$(mktemp -d "${TEST_TMPDIR:?}/fuzz.XXXXXX")
found=${TEST_UNDECLARED_OUTPUTS_DIR:-$work}
mkdir "$work/corpus"
# What is new goes to the first corpus, and is read again from there.
flags=(-artifact_prefix="$found/" -rss_limit_mb=2048 -timeout=20 -max_len=1024 -len_control=10)
[[ "$dictionary" == - ]] || flags+=(-dict="$dictionary")
case "$mode" in
  short | planted) flags+=(-runs="$count" -seed=1) ;;
  long) flags+=(-max_total_time="$count") ;;
esac

status=0
"$program" "${flags[@]}" "$work/corpus" "$CORPUS" >"$work/log" 2>&1 || status=$?
if [[ "$mode" != planted ]]; then
  if ((status != 0)); then
    cat "$work/log"
    echo "A finding. To run it again: write the Base64 above to a file (base64 -d), or take it from" \
      "the test's outputs, and give it to bazel run //tests/fuzz:$(basename "$program") -- FILE"
    exit 1
  fi
  tail -n 12 "$work/log"
  exit 0
fi
if ((status == 0)) || ! grep -qE 'ERROR: (AddressSanitizer|libFuzzer)|runtime error:' "$work/log"; then
  tail -n 40 "$work/log"
  echo "The fuzzer did not find the planted bug in $count runs (exit status $status)."
  exit 1
fi
grep -m 1 -hE 'check failed|CHECK|runtime error:|ERROR: ' "$work/log"
tail -n 3 "$work/log" | head -n 1
