#!/bin/bash
# Runs each test of a program under mpiexec, as its own job of as many ranks as the name of its suite
# ends with. Usage: mpi_transport_test.sh PROGRAM [FILTER]
set -u
program=$1
filter=${2:-*}
unset TEST_PREMATURE_EXIT_FILE # one file cannot be every rank's
passed=0
failed=0

tests=$("$program" --gtest_list_tests --gtest_filter="$filter" |
  awk '/^[^ ]/ { suite = $1 } /^ / { print suite $1 }')
for test in $tests; do
  suite=${test%%.*}
  ranks=${suite##*[!0-9]}
  export TASKFARM_GATES="${TEST_TMPDIR:?}/$test"
  mkdir -p "$TASKFARM_GATES"
  logs="$TASKFARM_GATES/log"
  mpiexec.hydra -n "$ranks" -outfile-pattern "$logs.%r" -errfile-pattern "$logs.%r" \
    "$program" --gtest_filter="$test" >"$logs" 2>&1
  status=$?
  # Each rank must have run it and say so: the launcher's status alone is not enough.
  if [[ $status -eq 0 && $(grep -l '^\[  PASSED  \] 1 test' "$logs".* | wc -l) -eq $ranks ]]; then
    passed=$((passed + 1))
    grep -hE 'of a core|peak memory' "$logs".*
  else
    failed=$((failed + 1))
    echo "FAILED with status $status on $ranks ranks: $test"
    tail -n 200 "$logs"*
  fi
done

echo "$passed passed, $failed failed"
[[ $failed -eq 0 && $passed -gt 0 ]]
