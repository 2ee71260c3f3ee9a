#!/bin/bash
# The one command before a commit: format, lint, tidy rules, build, tests.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

usage() {
  cat <<'END'
usage: tools/check.sh [--fix] [--all] [--long]

Runs clang-format on every C++ and proto file, shellcheck on every shell script, the tidy rules, the
build, clang-tidy on what changed (not committed, or in the last commit), and the tests. One line a
step; the output of a step that fails comes before its line.

  --fix    let clang-format rewrite the files instead of reporting them
  --all    clang-tidy on every C++ file (minutes)
  --long   also the tests that take long (tagged so): ten minutes of fuzzing for each target of
           tests/fuzz, one on each core, and an hour or so for the others
  --help   print this
END
}

fix=false
lint_all=false
long=false
for argument in "$@"; do
  case "$argument" in
    --fix) fix=true ;;
    --all) lint_all=true ;;
    --long) long=true ;;
    --help | -h)
      usage
      exit 0
      ;;
    *)
      echo "check: unknown argument '$argument' (try tools/check.sh --help)" >&2
      exit 2
      ;;
  esac
done

failed_steps=0
output=$(mktemp)
trap 'rm -f "$output"' EXIT

# report_step NAME COMMAND...: runs the command, shows its output if it fails, and says how it went.
report_step() {
  local name=$1
  shift
  local start=$SECONDS
  if "$@" >"$output" 2>&1; then
    printf 'ok      %-14s %4ds\n' "$name" $((SECONDS - start))
  else
    cat "$output"
    printf 'FAILED  %-14s %4ds\n' "$name" $((SECONDS - start))
    failed_steps=$((failed_steps + 1))
  fi
}

# Files of the working tree, new ones included, that match the patterns and still exist.
list_files() {
  local file
  git ls-files --cached --others --exclude-standard -- "$@" | while IFS= read -r file; do
    [[ -e "$file" ]] && echo "$file"
  done
}

# C++ files that differ from the last commit's parent; all of them when there is no such commit. The
# workspace below tests/ has a build of its own.
list_changed_cpp() {
  local cpp=('*.cc' '*.h' ':!tests/external_workspace/user')
  if "$lint_all" || ! git rev-parse --quiet --verify 'HEAD~' >/dev/null; then
    list_files "${cpp[@]}"
  else
    {
      git diff --name-only --diff-filter=d 'HEAD~' -- "${cpp[@]}"
      git ls-files --others --exclude-standard -- "${cpp[@]}"
    } | sort -u
  fi
}

check_format() {
  local files mode=(--dry-run -Werror)
  "$fix" && mode=(-i)
  mapfile -t files < <(list_files '*.cc' '*.h' '*.proto')
  clang-format-14 "${mode[@]}" "${files[@]}"
}

check_shell() {
  local files
  mapfile -t files < <(list_files '*.sh' .ci/run)
  shellcheck "${files[@]}"
}

# Clang 14 cannot compile the <ranges> of GCC 12's library, which a user's program includes.
list_lintable() {
  list_changed_cpp | while IFS= read -r file; do
    grep -qE '#include ("taskfarm.h"|"client/(client|map).h"|<ranges>)' "$file" || echo "$file"
  done
}

check_lint() {
  local bin files flags
  mapfile -t files < <(list_lintable)
  ((${#files[@]})) || return 0
  # The headers that the build generates, and the one system library outside /usr/include.
  bin=$(bazel info bazel-bin 2>/dev/null) || return
  flags=(-xc++ -std=c++20 -I. -isystem "$bin")
  flags+=(-isystem "$(pkg-config --variable=includedir mpich)" -DMPICH_SKIP_MPICXX)
  printf '%s\0' "${files[@]}" |
    xargs -0 -P "$(nproc)" -I FILE clang-tidy-14 --quiet FILE -- "${flags[@]}" 2>/dev/null
}

# test_long PATTERNS FLAGS...: tests tagged "long" are tagged "manual" too, so that //... leaves them
# out.
test_long() {
  local patterns=$1 tests
  shift
  mapfile -t tests < <(bazel query --noshow_progress "attr(tags, '\\blong\\b', tests($patterns))")
  ((${#tests[@]})) || return
  bazel test --noshow_progress "$@" "${tests[@]}"
}

report_step "installed" ./setup.sh --check
report_step "clang-format" check_format
report_step "shellcheck" check_shell
report_step "tidy rules" python3 tests/tidy/tidy.py .
report_step "build" bazel build --noshow_progress //...
report_step "clang-tidy" check_lint
report_step "tests" bazel test --noshow_progress //...
if "$long"; then
  report_step "fuzzing" test_long //tests/fuzz/...  # a thread each
  report_step "long tests" test_long '//... - //tests/fuzz/...' --local_test_jobs=1
fi

if ((failed_steps)); then
  echo "check: $failed_steps of the steps above failed"
  exit 1
fi
echo "check: all is well"
