"""What a task costs, by counts that are the same in every run, and what was recorded of that.

`bazel run //bench/gates:record` measures anew and writes recorded.json.
"""

import json
import os
import re
import subprocess

# Of a queued 8-byte task, in the master's memory.
MAX_BYTES = 160

# What a change may add to the recorded cost before its author has to look.
COUNT_SLACK = 1.1
INSTRUCTION_SLACK = 1.3

_FOLDER = os.path.dirname(os.path.abspath(__file__))
_COST = os.path.join(_FOLDER, "cost")
_RUNS = (5_000, 25_000)  # tasks; their difference leaves out what is done once


def recorded():
    """The costs at the time of the last record."""
    with open(os.path.join(_FOLDER, "recorded.json"), encoding="utf-8") as file:
        return json.load(file)


def counts():
    """Allocations and messages a task, bytes a queued task."""
    run = subprocess.run([_COST, "count"], check=True, capture_output=True, text=True)
    return json.loads(run.stdout)


def _instructions(tasks):
    run = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--vgdb=no",
         _COST, "run", str(tasks)],
        check=True, capture_output=True, text=True)
    return int(re.search(r"Collected : (\d+)", run.stderr)[1])


def instructions_per_task():
    few, many = (_instructions(tasks) for tasks in _RUNS)
    return round((many - few) / (_RUNS[1] - _RUNS[0]))
