#!/bin/bash
# Installs what taskfarm needs to be built, tested and checked on Debian 12.
set -euo pipefail

# Purpose: packages.
readonly REQUIREMENTS=(
  "C++ compiler and binary tools: g++ binutils pkg-config"
  "build system: bazel-bootstrap bazel-rules-java bazel-rules-proto bazel-skylib bazel-platforms"
  "Protocol Buffers: protobuf-compiler libprotobuf-dev"
  "Abseil: libabsl-dev"
  "ZeroMQ: libzmq3-dev cppzmq-dev"
  "MPI (MPICH): mpich libmpich-dev"
  "JSON, PNG, hashing, checksums: nlohmann-json3-dev libpng-dev libxxhash-dev libisal-dev"
  "tests and benchmarks: libgtest-dev libgmock-dev libbenchmark-dev valgrind gnuplot-nox"
  "tests and scripts run: python3 procps iproute2 nftables"
  "bundles for other machines: patchelf"
  "fuzzing: clang-14 libclang-rt-14-dev"
  "source checks: git clang-format-14 clang-tidy-14 shellcheck"
)

usage() {
  cat <<'END'
usage: ./setup.sh [--check]

Installs with apt what taskfarm needs and this machine lacks (Debian 12; sudo unless root).
Does nothing, quickly, when nothing is missing.

  --check   only report: exit status 1 when something is missing
  --help    print this
END
}

list_requirements() {
  local line
  for line in "${REQUIREMENTS[@]}"; do
    printf '  %-32s %s\n' "${line%%: *}" "${line#*: }"
  done
}

is_debian_12() {
  [[ -r /etc/os-release ]] || return 1
  # shellcheck disable=SC1091  # a file of the system
  (. /etc/os-release && [[ "${ID:-}" == debian && "${VERSION_ID:-}" == 12 ]])
}

# Prints the packages that are not installed, one a line.
missing_packages() {
  local installed package line
  # dpkg-query fails when it knows nothing of a package; its list is right all the same.
  installed=$(dpkg-query --show --showformat='${binary:Package} ${db:Status-Status}\n' \
    "$@" 2>/dev/null) || true
  for package in "$@"; do
    line=$(grep -E -m 1 "^${package//+/[+]}(:[a-z0-9]+)? installed$" <<<"$installed") || true
    [[ -n "$line" ]] || echo "$package"
  done
}

install_packages() {
  local as_root=()
  if ((EUID != 0)); then
    if ! command -v sudo >/dev/null; then
      echo "setup: neither root nor sudo here; as root, run: apt-get install $*" >&2
      return 1
    fi
    as_root=(sudo)
  fi
  local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y
    -o DPkg::Lock::Timeout=300)
  "${apt[@]}" update
  "${apt[@]}" install --no-install-recommends "$@"
}

main() {
  local check_only=false
  while (($#)); do
    case "$1" in
      --check) check_only=true ;;
      --help | -h)
        usage
        return 0
        ;;
      *)
        echo "setup: unknown argument '$1' (try ./setup.sh --help)" >&2
        return 2
        ;;
    esac
    shift
  done

  if ! is_debian_12; then
    echo "setup: this is not Debian 12, so nothing was installed. taskfarm needs, by the names" >&2
    echo "setup: of Debian 12's packages (Bazel 4.2, Abseil 20220623, Protobuf 3.21, GCC 12):" >&2
    list_requirements >&2
    return 1
  fi

  local packages missing
  read -r -a packages <<<"$(printf '%s ' "${REQUIREMENTS[@]#*: }")"
  mapfile -t missing < <(missing_packages "${packages[@]}")
  if ((${#missing[@]} == 0)); then
    echo "setup: all ${#packages[@]} packages are installed"
  elif "$check_only"; then
    echo "setup: missing (./setup.sh installs them): ${missing[*]}"
    return 1
  else
    echo "setup: installing ${missing[*]}"
    install_packages "${missing[@]}"
    echo "setup: done"
  fi
}

main "$@"
