"""Every external repository taskfarm needs, in one macro.

Nothing is downloaded: a repository is either made of what Debian installs (./setup.sh) or a
stub kept in this folder. A workspace that depends on @taskfarm calls the same macro, which is why
files are named by Label(): such a label is of this repository whoever calls.
"""

load("//third_party:absl.bzl", "absl_repository")
load(
    "//third_party:system_repository.bzl",
    "bazel_rules_repository",
    "stub_repository",
    "system_library",
)

def _define(rule, name, **attributes):
    """Defines a repository unless the calling workspace has one of that name already."""
    if not native.existing_rule(name):
        rule(name = name, **attributes)

def _define_rules():
    _define(bazel_rules_repository, "bazel_skylib", path = "/usr/share/bazel/tools/skylib")
    _define(bazel_rules_repository, "platforms", path = "/usr/share/bazel/platforms")
    _define(bazel_rules_repository, "rules_java", path = "/usr/share/bazel/rules/java")
    _define(bazel_rules_repository, "rules_proto", path = "/usr/share/bazel/rules/proto")

    # Debian's rules_cc is newer than its Bazel can load.
    _define(
        stub_repository,
        "rules_cc",
        files = {
            Label("//third_party:stubs/empty.BUILD"): "cc/BUILD",
            Label("//third_party:stubs/rules_cc_defs.bzl"): "cc/defs.bzl",
        },
    )

    # `bazel test` asks for these two programs even when it measures no coverage.
    _define(
        stub_repository,
        "remote_coverage_tools",
        files = {
            Label("//third_party:stubs/no_coverage.sh"): "no_coverage.sh",
            Label("//third_party:stubs/remote_coverage_tools.BUILD"): "BUILD",
        },
    )

def _define_library(name, **attributes):
    build_file = Label("//third_party:" + name + ".BUILD")
    _define(system_library, name, build_file = build_file, **attributes)

def _define_libraries():
    _define(absl_repository, "com_google_absl")
    _define_library("com_google_benchmark", headers = ["benchmark/benchmark.h"])
    _define_library("com_google_googletest", headers = ["gtest/gtest.h", "gmock/gmock.h"])
    _define_library(
        "com_google_protobuf",
        headers = ["google/protobuf/message.h"],
        links = {
            "bin/protoc": "bin/protoc",
            "include/google": "include/google",
        },
    )
    _define_library("cppzmq", headers = ["zmq.h", "zmq.hpp"])
    _define_library("isal", headers = ["isa-l/crc.h"])
    _define_library("libpng", headers = ["png.h"])
    _define_library("mpich", include_dir_of = "mpich")
    _define_library("nlohmann_json", headers = ["nlohmann/json.hpp"])
    _define_library("xxhash", headers = ["xxhash.h"])

def taskfarm_repositories():
    """Defines the external repositories, except those the workspace has already defined."""
    _define_rules()
    _define_libraries()
