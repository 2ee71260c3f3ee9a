#!/usr/bin/env python3
"""The rules of this tree that no compiler holds, checked over every source file.

usage: tidy.py ROOT    prints `FILE:LINE: what is wrong [rule]`; exit status 1 if anything is

To let one file break one rule, add it to ALLOWED with the reason. A file that no longer needs its
entry is itself reported.
"""

import os
import re
import sys

# Path -> rule -> why it may. A folder ends in /: it may because of what it is there for.
ALLOWED = {
    "bench/": {
        "clock": "measures real time",
        "mpi": "compares with a hand-written MPI loop",
        "zmq": "compares with a hand-written ZeroMQ loop",
    },
    "farm/farm_flags.cc": {"random": "where a farm's one random number is drawn"},
    "commands/fake_task_queue.h": {"twice": "a test double; no test links both"},
    "tests/dependency_rules/": {"mpi": "asks who uses it", "zmq": "asks who uses it"},
    "tests/tidy/": {"unfinished": "spells the words out"},
    "transport/clock.cc": {"clock": "the one real clock"},
    "transport/clock_test.cc": {"clock": "compares the two"},
    "transport/mpi/": {"mpi": "the MPI transport"},
    "transport/mpi/mpi_transport_test.cc": {"sleep": "acts while the other end waits in Poll()"},
    "transport/zmq/": {"zmq": "the ZeroMQ transport"},
    "worker/commands/command_runner_test.cc": {"clock": "measures the processor time it took"},
}

MAX_LINES = 600

CODE = (".cc", ".h")
TEXT = CODE + (".bazelrc", ".bzl", ".md", ".proto", ".py", ".sh", ".BUILD", "BUILD", "WORKSPACE", "run")
COUNTED = tuple(ending for ending in TEXT if ending != ".md")

BANNED_CALLS = {
    "clock": re.compile(
        r"\babsl::Now\b|\b\w*_clock::now\b|\bclock_gettime\s*\(|\bgettimeofday\s*\("
        r"|\btime\s*\(\s*(?:nullptr|NULL|0)\s*\)"
    ),
    "sleep": re.compile(r"\b(?:u|nano|clock_nano)?sleep\s*\(|\bsleep_(?:for|until)\b|\bSleepFor\b"),
    "random": re.compile(r"\brandom_device\b|\bs?rand(?:_r)?\s*\(|\babsl::(?:Insecure)?BitGen\b"),
    "shell": re.compile(r"(?<![\w.>])(?:std::)?system\s*\(|\bpopen\s*\("),
}
ADVICE = {
    "clock": "takes the time itself: pass it in (transport/clock.h)",
    "sleep": "sleeps: wait for the event",
    "random": "makes its own randomness: pass in a seed or a generator",
    "shell": "runs a shell: posix_spawn the program",
}

# Who includes a transport's library, or names its label in a BUILD file.
LIBRARIES = {
    "mpi": re.compile(r'^\s*#\s*include\s*[<"]mpi\.h[>"]|@mpich//'),
    "zmq": re.compile(r'^\s*#\s*include\s*[<"]zmq\w*\.h(?:pp)?[>"]|@cppzmq//'),
}
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX)\b")
BANNED_WORDS = {"manager", "managers", "handler", "handlers", "util", "utils", "helper", "helpers"}
# Names that other libraries chose.
FOREIGN_NAMES = re.compile(r"\b(?:error_handler_t|sa_handler|protobuf::util)\b")
IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

# A type defined at the outermost level, and the namespaces around it.
NAMESPACE_OPENS = re.compile(r"(?:inline )?namespace ?([\w:]*) ?\{")
NAMESPACE_CLOSES = re.compile(r"\}  // namespace")
TYPE = re.compile(r"(?:class|struct|union|enum|enum class) (?:alignas\(.*?\) )?(\w+)(?: final)?(?: :.*| \{.*)$")

# Comments, raw strings, strings and characters of C++ (a digit separator is no character).
NOT_CODE = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<d>[^\s()\\]{0,16})\(.*?\)(?P=d)"'
    r"|\"(?:\\.|[^\"\\\n])*\"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])*'",
    re.DOTALL,
)


def strip_comments_and_strings(text):
    """Blanks what is not code, keeping every line break."""
    return NOT_CODE.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), text)


def has_banned_word(name):
    return any(word.lower() in BANNED_WORDS for word in WORD.findall(name))


def check_guard(path, lines):
    """Yields what is wrong with the include guard of a header."""
    guard = "TASKFARM_" + re.sub(r"\W", "_", path).upper() + "_"
    code = [line.strip() for line in lines if line.strip() and not line.startswith("//")]
    wanted = (f"#ifndef {guard}", f"#define {guard}", f"#endif  // {guard}")
    if len(code) < 3 or (code[0], code[1]) != wanted[:2] or lines[-1].strip() != wanted[2]:
        yield 1, "guard", f"wants the include guard {guard}"


def check_code(text):
    """Yields what is wrong in the code of a C++ file."""
    for number, line in enumerate(strip_comments_and_strings(text).split("\n"), 1):
        for rule, pattern in BANNED_CALLS.items():
            match = pattern.search(line)
            if match:
                yield number, rule, f"`{match.group().strip(' (')}` {ADVICE[rule]}"
        if line.lstrip().startswith("#include"):
            continue
        for name in IDENTIFIER.findall(FOREIGN_NAMES.sub("", line)):
            if has_banned_word(name):
                yield number, "name", f"`{name}`: say what it is for"


def check_file(path, text):
    """Yields (line, rule, what is wrong) for one file; the path is relative to the root."""
    lines = text.rstrip("\n").split("\n")
    if has_banned_word(os.path.basename(path)):
        yield 1, "name", "the file's name: say what it is for"
    if path.endswith(COUNTED) and len(lines) > MAX_LINES:
        yield MAX_LINES, "length", f"{len(lines)} lines, more than {MAX_LINES}: split it"
    for number, line in enumerate(lines, 1):
        match = UNFINISHED.search(line)
        if match:
            yield number, "unfinished", f"`{match.group()}`: finish it or file it"
        for rule, pattern in LIBRARIES.items():
            match = path.endswith(CODE + ("BUILD",)) and pattern.search(line)
            if match:
                yield number, rule, f"`{match.group()}` belongs in transport/{rule}"
    if path.endswith(CODE):
        yield from check_code(text)
    if path.endswith(".h"):
        yield from check_guard(path, lines)


def list_types(text):
    """Yields (line, qualified name) of each type that a C++ file defines outside anonymous namespaces."""
    namespaces = []
    for number, line in enumerate(text.split("\n"), 1):
        opens = NAMESPACE_OPENS.match(line)
        defines = TYPE.match(line)
        if opens:
            namespaces.append(opens.group(1))
        elif NAMESPACE_CLOSES.match(line):
            namespaces = namespaces[:-1]
        elif defines and "" not in namespaces:
            yield number, "::".join(namespaces + [defines.group(1)])


def find_allowance(path, rule):
    """Returns the entry of ALLOWED that lets this file break this rule, or None."""
    for prefix, rules in ALLOWED.items():
        matches = path.startswith(prefix) if prefix.endswith("/") else path == prefix
        if matches and rule in rules:
            return prefix, rule
    return None


def list_sources(root):
    """Returns the paths, relative to the root and in order, of the files the rules are for."""
    sources = []
    for folder, folders, files in os.walk(root):
        folders[:] = [f for f in folders if not f.startswith("bazel-") and f not in (".git", "__pycache__")]
        sources += [os.path.relpath(os.path.join(folder, f), root) for f in files if f.endswith(TEXT)]
    return sorted(sources)


def check_tree(root):
    """Returns every complaint about the tree, as printable lines."""
    complaints = []
    used = set()
    defined_in = {}
    for path in list_sources(root):
        with open(os.path.join(root, path), encoding="utf-8") as file:
            text = file.read()
        found = list(check_file(path, text))
        for number, name in list_types(text) if path.endswith(CODE) else ():
            first = defined_in.setdefault(name, path)
            if first != path:
                found.append((number, "twice", f"{name} is another type in {first}: one program has one"))
        for number, rule, what in found:
            allowance = find_allowance(path, rule)
            if allowance:
                used.add(allowance)
            else:
                complaints.append(f"{path}:{number}: {what} [{rule}]")
    for path, rules in ALLOWED.items():
        for rule in rules:
            if not path.endswith("/") and (path, rule) not in used:
                complaints.append(f"tests/tidy/tidy.py:1: nothing in {path} needs ALLOWED {rule}")
    return complaints


def main(arguments):
    if len(arguments) != 2 or not os.path.exists(os.path.join(arguments[1], "WORKSPACE")):
        print("usage: tidy.py ROOT  (the folder that holds WORKSPACE)", file=sys.stderr)
        return 2
    complaints = check_tree(arguments[1])
    for complaint in complaints:
        print(complaint)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
