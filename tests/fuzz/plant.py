#!/usr/bin/env python3
"""Copies a source file with a bug put into it, for the tests of the fuzz targets.

usage: plant.py FILE COPY OLD NEW    OLD is in FILE exactly once, and is NEW in the copy
"""

import sys


def main(arguments):
    path, copy, old, new = arguments[1:]
    with open(path, encoding="utf-8") as file:
        text = file.read()
    if text.count(old) != 1:
        print(
            f"{path}: `{old}` is there {text.count(old)} times, not once: say in tests/fuzz/BUILD where "
            "its planted bug belongs now",
            file=sys.stderr,
        )
        return 1
    with open(copy, "w", encoding="utf-8") as file:
        file.write(text.replace(old, new))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
