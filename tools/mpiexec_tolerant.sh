#!/bin/bash
# Runs a task farm on MPI ranks whose death it survives; see usage() and docs/running.md.
set -u

usage() {
  cat <<'END'
usage: tools/mpiexec_tolerant -n N [options of mpiexec.hydra] PROGRAM [ARGUMENTS]

Runs PROGRAM, a task farm, on N MPI ranks: rank 0 is the master, the others are its workers. Any of
the workers may die at any time: the farm goes on with the others, and what they were running is run
again. Ranks speak TCP with each other, which is slower than the shared memory of plain mpiexec.hydra
between ranks on one host.

Rank 0 has to run on this host. Exit status: the master's; 3 if it left none; 2 for wrong use.
SIGINT and SIGTERM are passed on to all ranks.
END
}

say() { echo "mpiexec_tolerant: $*" >&2; }

case "${1-}" in
  --help | -h)
    usage
    exit 0
    ;;
  '')
    say "name the ranks and a program: -n N PROGRAM ARGUMENTS (try --help)"
    exit 2
    ;;
esac
if ! command -v mpiexec.hydra >/dev/null; then
  say "mpiexec.hydra, of MPICH, is not installed"
  exit 2
fi
# `bazel run` starts this elsewhere; the paths are meant from where the user is.
if [[ -n ${BUILD_WORKING_DIRECTORY-} ]]; then
  cd "$BUILD_WORKING_DIRECTORY" || exit 2
  unset BUILD_WORKING_DIRECTORY
fi

# Where rank 0 leaves its exit status, and a mark once the farm has begun.
state=$(mktemp -d "${TMPDIR:-/tmp}/taskfarm_mpi.XXXXXX") || exit 3
trap 'rm -rf "$state"' EXIT
# Reading from it takes as long as the reader says, and no process.
mkfifo "$state/never" || exit 3
exec {never}<>"$state/never"
mpiexec=
interrupted=false
# shellcheck disable=SC2317 # the traps call it
pass_on() {
  interrupted=true
  [[ -n $mpiexec ]] && kill -s "$1" "$mpiexec" 2>/dev/null
}
trap 'pass_on INT' INT
trap 'pass_on TERM' TERM
trap 'pass_on TERM' HUP

# mpiexec waits for ever for a host that has gone without a word. Once the master has ended, the ranks
# that can be reached end within seconds.
end_without_the_gone() {
  local seconds_since_end=0
  while kill -0 $$ 2>/dev/null; do
    read -r -t 1 -u "$never"
    [[ -s $state/status ]] || continue
    ((++seconds_since_end > 10)) || continue
    say "the farm has ended, but not all of its hosts answer: leaving without them"
    kill -s TERM "$mpiexec"
    read -r -t 5 -u "$never"
    kill -s KILL "$mpiexec"
    return
  done
}

# mpiexec gets a session of its own, so that a Ctrl-C reaches it once and not twice, which would be
# its sign to kill. It ends when this script is killed.
run_ranks() {
  setpriv --pdeathsig TERM setsid mpiexec.hydra -disable-auto-cleanup \
    -genv UCX_TLS tcp,self -genv TASKFARM_MPI_MODE tolerant -genv TASKFARM_MPI_STATE "$state" \
    "$@" <&0 {never}>&- &
  mpiexec=$!
  end_without_the_gone &
  local status watch=$!
  while true; do
    wait "$mpiexec" 2>/dev/null # who killed it is told, if anybody has to know
    status=$?
    kill -0 "$mpiexec" 2>/dev/null || break # else a signal has ended the wait
  done
  mpiexec=
  kill "$watch" 2>/dev/null
  wait "$watch" 2>/dev/null
  return "$status"
}

# Whether one of the ranks was killed. Hydra's status is all of theirs, one over the other: 9 or 137
# for that one, and maybe more bits.
was_killed() { (($1 != 255 && ($1 & 9) == 9)); }

for attempt in 1 2 3; do
  run_ranks "$@"
  mpiexec_status=$?
  if [[ -s $state/status ]]; then
    exit "$(<"$state/status")"
  fi
  [[ -e $state/begun || $interrupted == true ]] && break
  # Nothing has been run yet. If the ranks got as far as to be a farm, or were killed before, one
  # died while MPI was coming up, for which it needs them all. But what Hydra has read for rank 0 of
  # a file or a pipe is gone.
  [[ -e $state/joining ]] || was_killed "$mpiexec_status" || break
  [[ ! -c /dev/stdin && -e /dev/stdin || $attempt == 3 ]] && break
  say "a rank died before the farm was up: starting again"
done
if [[ -e $state/begun ]]; then
  say "the master (rank 0) died and left no exit status"
else
  say "the farm did not come up; nothing was run (mpiexec.hydra: exit status $mpiexec_status)"
fi
exit 3
