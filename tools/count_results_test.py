"""Feeds count_results.py events as Bazel writes them."""

import contextlib
import io
import json
import os
import tempfile
import unittest

from tools import count_results


def summary(label, status):
    return {"id": {"testSummary": {"label": label}}, "testSummary": {"overallStatus": status}}


def completed(label, success):
    body = {"success": True} if success else {"failureDetail": {}}
    return {"id": {"targetCompleted": {"label": label}}, "completed": body}


def finished(name):
    return {"id": {"buildFinished": {}}, "finished": {"exitCode": {"name": name}}}


class CountRunTest(unittest.TestCase):
    def test_counts_tests_not_libraries(self):
        events = [
            completed("//a:lib", True),
            completed("//a:t", True),
            summary("//a:t", "PASSED"),
            summary("//a:retried", "FLAKY"),
            finished("SUCCESS"),
        ]
        self.assertEqual(count_results.count_run(events), (2, []))

    def test_every_other_status_is_a_failure(self):
        for status in ("FAILED", "TIMEOUT", "INCOMPLETE", "NO_STATUS", "FAILED_TO_BUILD"):
            events = [completed("//a:t", True), summary("//a:t", status), finished("TESTS_FAILED")]
            self.assertEqual(count_results.count_run(events), (0, ["//a:t"]))

    def test_what_does_not_build_counts_once(self):
        events = [
            completed("//a:t", False),
            summary("//a:t", "NO_STATUS"),
            completed("//a:lib", False),
            summary("//b:t", "PASSED"),
            finished("BUILD_FAILURE"),
        ]
        self.assertEqual(count_results.count_run(events), (1, ["//a:lib", "//a:t"]))

    def test_a_run_that_fails_before_any_target(self):
        self.assertEqual(
            count_results.count_run([finished("PARSING_FAILURE")]),
            (0, ["the run itself: PARSING_FAILURE"]),
        )

    def test_a_run_that_never_finished(self):
        passed, failed = count_results.count_run([summary("//a:t", "PASSED")])
        self.assertEqual((passed, len(failed)), (1, 1))


class MainTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(dir=os.environ.get("TEST_TMPDIR"))
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def write(self, name, events, tail=""):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write("".join(json.dumps(event) + "\n" for event in events) + tail)
        return path

    def run_main(self, *paths):
        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(io.StringIO()):
            status = count_results.main(list(paths))
        return status, output.getvalue().splitlines()

    def test_adds_up_runs_and_ends_with_the_line(self):
        first = self.write("1", [summary("//a:t", "PASSED"), finished("SUCCESS")])
        second = self.write(
            "2", [summary("//a:t", "PASSED"), summary("//b:t", "FAILED"), finished("TESTS_FAILED")]
        )
        self.assertEqual(self.run_main(first, first), (0, ["2 passed, 0 failed"]))
        self.assertEqual(self.run_main(first, second), (1, ["FAILED //b:t", "2 passed, 1 failed"]))

    def test_a_missing_or_truncated_file_is_a_failure(self):
        cut = self.write("cut", [summary("//a:t", "PASSED")], tail='{"id": {"buildFin')
        self.assertEqual(self.run_main(cut)[1][-1], "1 passed, 1 failed")
        missing = os.path.join(self.folder, "missing")
        self.assertEqual(self.run_main(missing), (1, ["FAILED the run itself: it was cut short", "0 passed, 1 failed"]))

    def test_no_test_at_all_is_a_failure(self):
        empty = self.write("empty", [finished("SUCCESS")])
        self.assertEqual(self.run_main(empty), (1, ["0 passed, 0 failed"]))


if __name__ == "__main__":
    unittest.main()
