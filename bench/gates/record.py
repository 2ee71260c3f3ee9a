"""Writes what a task costs now to recorded.json: bazel run //bench/gates:record"""

import json
import os

from bench.gates import costs


def main():
    values = {**costs.counts(), "instructions_per_task": costs.instructions_per_task()}
    text = json.dumps(values, indent=2) + "\n"
    path = os.path.join(os.environ["BUILD_WORKSPACE_DIRECTORY"], "bench/gates/recorded.json")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    print(text, end="")


if __name__ == "__main__":
    main()
