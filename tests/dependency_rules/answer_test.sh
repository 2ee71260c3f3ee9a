#!/bin/bash
# usage: answer_test.sh ANSWER [ALLOWED...]: the labels in the file ANSWER must each be allowed, and
# there must be some; when nothing is allowed there must be none. ALLOWED is a label, or the beginning
# of labels when it ends in / or :.
set -euo pipefail

answer=$1
shift
bad=0
lines=0
while IFS= read -r label; do
  lines=$((lines + 1))
  for allowed in "$@"; do
    [[ "$label" == "$allowed" ]] && continue 2
    [[ "$allowed" == *[/:] && "$label" == "$allowed"* ]] && continue 2
  done
  echo "not allowed here: $label"
  bad=1
done <"$answer"
if (($# > 0 && lines == 0)); then
  echo "the answer is empty: the test asks about nothing"
  bad=1
fi
exit "$bad"
