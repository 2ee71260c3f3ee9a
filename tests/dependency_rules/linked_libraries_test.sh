#!/bin/bash
# usage: linked_libraries_test.sh BINARY...: each must need libzmq and no MPI library when it starts.
set -euo pipefail

bad=0
for binary in "$@"; do
  needed=$(readelf --dynamic --wide "$binary" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
  if ! grep -q '^libzmq\.so' <<<"$needed"; then
    echo "$binary does not need libzmq; is it linked at all? It needs: ${needed//$'\n'/ }"
    bad=1
  fi
  if grep -E '^libmp(i|ich)' <<<"$needed"; then
    echo "$binary needs an MPI library: it would not start where there is none"
    bad=1
  fi
done
exit "$bad"
