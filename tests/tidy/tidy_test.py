"""Each rule goes red on a planted line and stays green on its innocent neighbour."""

import os
import tempfile
import unittest

from tests.tidy import tidy

GUARDED = """// A header.

#ifndef TASKFARM_MASTER_QUEUE_H_
#define TASKFARM_MASTER_QUEUE_H_
int Size();
#endif  // TASKFARM_MASTER_QUEUE_H_
"""


def rules_broken(path, text):
    return sorted({rule for _, rule, _ in tidy.check_file(path, text)})


class RulesTest(unittest.TestCase):
    def assert_red(self, rule, *lines):
        for line in lines:
            self.assertEqual(rules_broken("master/a.cc", line + "\n"), [rule], line)

    def assert_green(self, *lines):
        for line in lines:
            self.assertEqual(rules_broken("master/a.cc", line + "\n"), [], line)

    def test_clock(self):
        self.assert_red(
            "clock",
            "  absl::Time t = absl::Now();",
            "  auto t = std::chrono::steady_clock::now();",
            "  auto t = system_clock::now();",
            "  clock_gettime(CLOCK_MONOTONIC, &t);",
            "  seed = time(nullptr);",
        )
        self.assert_green("  clock.Now();", "  // unlike absl::Now()", '  Say("absl::Now()");')

    def test_sleep(self):
        self.assert_red(
            "sleep",
            "  sleep(1);",
            "  usleep(10);",
            "  nanosleep(&t, nullptr);",
            "  std::this_thread::sleep_for(1s);",
            "  absl::SleepFor(absl::Seconds(1));",
        )
        self.assert_green("  worker.Asleep();", '  Run({"sleep", "1"}); // sleep(1)', "  int sleep_ms;")

    def test_random(self):
        self.assert_red(
            "random", "  std::random_device seed;", "  int r = rand();", "  srand(1);", "  absl::BitGen g;"
        )
        self.assert_green("  operand();", "  absl::BitGenRef random", "  std::mt19937_64 random(seed);")

    def test_shell(self):
        self.assert_red("shell", '  system("ls");', '  std::system("ls");', '  popen("ls", "r");')
        self.assert_green("  farm.system();", "  std::system_error(code);", "  SpawnSystem();")

    def test_transport_libraries(self):
        self.assert_red("mpi", "#include <mpi.h>", '#include "mpi.h"')
        self.assert_red("zmq", "#include <zmq.h>", "#include <zmq.hpp>", "#include <zmq_addon.hpp>")
        self.assert_green('#include "transport/mpi/mpi_transport.h"', "// needs zmq.h")
        self.assertEqual(rules_broken("master/BUILD", '    deps = ["@mpich//:mpi"],\n'), ["mpi"])
        self.assertEqual(rules_broken("master/BUILD", '    deps = ["@cppzmq//:cppzmq"],\n'), ["zmq"])

    def test_unfinished(self):
        self.assert_red("unfinished", "// TODO: later", "// FIXME", "int x;  // XXX")
        self.assertEqual(rules_broken("README.md", "TODO write\n"), ["unfinished"])
        self.assert_green("// todos are bad", "int mastodon;")

    def test_names(self):
        self.assert_red(
            "name", "class TaskManager {", "void HandlerFor();", "int time_util = 0;", "Helper helper_;"
        )
        self.assert_green(
            "int utility;", "// a helper process", "action.sa_handler = SIG_IGN;", "Handle(x);"
        )
        self.assertEqual(rules_broken("master/task_manager.cc", "\n"), ["name"])
        self.assertEqual(rules_broken("docs/utils.md", "\n"), ["name"])

    def test_length(self):
        self.assertEqual(rules_broken("master/a.cc", "\n" * 599 + "int x;\n"), [])
        self.assertEqual(rules_broken("master/a.cc", "\n" * 600 + "int x;\n"), ["length"])
        self.assertEqual(rules_broken("docs/a.md", "\n" * 600 + "x\n"), [])

    def test_guard(self):
        self.assertEqual(rules_broken("master/queue.h", GUARDED), [])
        self.assertEqual(rules_broken("worker/queue.h", GUARDED), ["guard"])
        self.assertEqual(rules_broken("master/queue.h", "#pragma once\nint x;\n"), ["guard"])
        self.assertEqual(rules_broken("master/queue.h", GUARDED.replace("endif  //", "endif //")), ["guard"])

    def test_only_code_is_searched_for_calls(self):
        self.assert_green('auto s = R"(sleep(1); // )";', "/* sleep(1);\n rand(); */", "char c = '\"';")
        self.assert_red("sleep", 'Say("//"); sleep(1);', "int n = 1'000; sleep(1'000);", "'\"'; sleep(1);")

    def test_line_numbers(self):
        found = list(tidy.check_file("master/a.cc", "/* a\n b */\nint x;\nsleep(1);\n"))
        self.assertEqual([number for number, _, _ in found], [4])


class TreeTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(dir=os.environ.get("TEST_TMPDIR"))
        self.addCleanup(folder.cleanup)
        self.root = folder.name
        self.allow({})

    def allow(self, allowed):
        before = tidy.ALLOWED
        tidy.ALLOWED = allowed
        self.addCleanup(setattr, tidy, "ALLOWED", before)

    def write(self, path, text):
        path = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def test_finds_a_planted_line_in_any_folder_but_not_in_build_outputs(self):
        self.write("a/b/c.cc", "int x;\nsleep(1);\n")
        self.write("bazel-bin/a.cc", "sleep(1);\n")
        self.write(".git/a.cc", "sleep(1);\n")
        complaints = tidy.check_tree(self.root)
        self.assertEqual(len(complaints), 1)
        self.assertRegex(complaints[0], r"^a/b/c\.cc:2: `sleep` .* \[sleep\]$")

    def test_two_types_of_one_name(self):
        for path, space in (("a.h", "x"), ("b.h", "x"), ("c.h", "y"), ("d.cc", "x {\nnamespace")):
            guard = f"#ifndef TASKFARM_{path[0].upper()}_H_\n#define TASKFARM_{path[0].upper()}_H_\n"
            body = f"namespace {space} {{\nclass Forward;\nstruct Result {{\n}};\n}}  // namespace\n"
            end = f"#endif  // TASKFARM_{path[0].upper()}_H_\n"
            self.write(path, guard + body + end if path.endswith(".h") else body)
        complaints = tidy.check_tree(self.root)
        self.assertEqual(complaints, ["b.h:5: x::Result is another type in a.h: one program has one [twice]"])

    def test_an_allowance_holds_for_its_rule_and_path_alone(self):
        self.allow({"a/": {"sleep": "why"}, "b/c.cc": {"sleep": "why"}})
        self.write("a/x.cc", "sleep(1);\nrand();\n")
        self.write("b/c.cc", "sleep(1);\n")
        self.write("b/d.cc", "sleep(1);\n")
        complaints = [line.split(" ")[0] for line in tidy.check_tree(self.root)]
        self.assertEqual(complaints, ["a/x.cc:2:", "b/d.cc:1:"])

    def test_a_file_that_needs_no_allowance_is_reported(self):
        self.allow({"a.cc": {"sleep": "why"}, "b/": {"sleep": "why"}})
        self.write("a.cc", "int x;\n")
        complaints = tidy.check_tree(self.root)
        self.assertEqual(len(complaints), 1)
        self.assertRegex(complaints[0], "nothing in a.cc needs")

    def test_wants_the_root_of_the_tree(self):
        self.assertEqual(tidy.main(["tidy.py", self.root]), 2)


if __name__ == "__main__":
    unittest.main()
