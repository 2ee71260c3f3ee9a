#!/bin/bash
# Builds and runs the program of user/, a workspace of its own, with a Bazel of its own.
set -euo pipefail

root=$(dirname "$(realpath WORKSPACE)")
cd "$root/tests/external_workspace/user"

# Bazel wants a home; nothing of the caller's is to be read or written.
export HOME=$TEST_TMPDIR
bazel=(bazel --nohome_rc "--output_user_root=$TEST_TMPDIR/bazel")
trap '"${bazel[@]}" shutdown' EXIT

output=$("${bazel[@]}" run --experimental_convenience_symlinks=ignore --noshow_progress //:squares)
if [[ "$output" != "sum of squares: 385" ]]; then
  echo "the program printed: $output"
  exit 1
fi
