#!/bin/bash
# Runs the rules over the checkout itself: the real place of WORKSPACE is its root, and this test,
# tagged `external`, runs every time, so no file has to be listed for it.
set -euo pipefail
root=$(dirname "$(realpath WORKSPACE)")
exec python3 tests/tidy/tidy.py "$root"
