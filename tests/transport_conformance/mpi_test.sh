#!/bin/bash
# usage: mpi_test.sh TEST_PROGRAM [MPIEXEC]
# Runs every test of the program in an mpiexec of its own: MPI can be entered once in a process.
set -u

program=$1
mpiexec=${2:-mpiexec.hydra}
limit=100  # seconds a test may take
failed=()

# "Suite." and "  Name" lines to "Suite.Name" ones.
tests=$("$program" --gtest_list_tests | sed 's/ *#.*//' |
  awk '/^[^ ].*\.$/ { suite = $1 } /^  / { print suite $1 }')
if [[ -z $tests ]]; then
  echo "$program lists no tests" >&2
  exit 1
fi

for test in $tests; do
  ranks=3
  [[ $test == *ManyPeers* ]] && ranks=9
  echo "=== $test, $ranks ranks"
  timeout --kill-after=5 "$limit" "$mpiexec" -n "$ranks" \
    "$program" --gtest_filter="$test" --gtest_brief=1 < /dev/null
  status=$?
  if [[ $status != 0 ]]; then
    echo "=== $test: exit status $status"
    failed+=("$test")
  fi
done

echo "${#failed[@]} failed of $(wc -w <<< "$tests"): ${failed[*]}"
((${#failed[@]} == 0))
