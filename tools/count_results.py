#!/usr/bin/env python3
"""Counts the results of one or more `bazel test` runs.

usage: count_results.py EVENTS...    files that --build_event_json_file wrote, one a run

Prints each target that failed, then `N passed, N failed` over all runs. A target that does not
build counts as failed, and so does a run that ended badly for another reason (a BUILD file that does
not load, an interrupted run). The exit status is 1 when anything failed, 0 otherwise.
"""

import json
import sys

PASSED = ("PASSED", "FLAKY")


def read_events(path):
    """Yields the events of a file; a line cut short by a crash ends them."""
    try:
        with open(path, encoding="utf-8") as file:
            for line in file:
                yield json.loads(line)
    except (OSError, ValueError) as error:
        print(f"{path}: {error}", file=sys.stderr)


def count_run(events):
    """Returns the number of passed tests of one run, and what failed: labels, or a reason."""
    passed = set()
    failed = set()
    exit_name = "it was cut short"
    for event in events:
        identity = event["id"]
        if "testSummary" in identity:
            ok = event.get("testSummary", {}).get("overallStatus") in PASSED
            (passed if ok else failed).add(identity["testSummary"]["label"])
        elif "targetCompleted" in identity:
            if not event.get("completed", {}).get("success"):
                failed.add(identity["targetCompleted"]["label"])
        elif "buildFinished" in identity:
            exit_name = event.get("finished", {}).get("exitCode", {}).get("name", exit_name)
    if not failed and exit_name != "SUCCESS":
        failed.add(f"the run itself: {exit_name}")
    return len(passed - failed), sorted(failed)


def main(paths):
    total_passed = 0
    total_failed = 0
    for path in paths:
        passed, failed = count_run(read_events(path))
        total_passed += passed
        total_failed += len(failed)
        for what in failed:
            print(f"FAILED {what}")
    print(f"{total_passed} passed, {total_failed} failed")
    return 1 if total_failed or not total_passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
