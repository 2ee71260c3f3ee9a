"""Fuzz targets: programs that libFuzzer feeds, built by Clang whatever builds the rest of the tree."""

load("@rules_cc//cc:defs.bzl", "cc_binary")

_TOOLCHAIN = "//command_line_option:crosstool_top"

# Flags of the command line are meant for the other compiler (--config=asan, say).
_FLAGS = {
    "//command_line_option:compilation_mode": "fastbuild",
    "//command_line_option:compiler": None,
    "//command_line_option:copt": [],
    "//command_line_option:linkopt": [],
    "//command_line_option:per_file_copt": [],
    "//command_line_option:strip": "never",
}

def _to_clang_impl(_settings, _attr):
    return dict(_FLAGS, **{_TOOLCHAIN: Label("//third_party/clang:fuzzing")})

_to_clang = transition(
    implementation = _to_clang_impl,
    inputs = [],
    outputs = [_TOOLCHAIN] + _FLAGS.keys(),
)

def _clang_binary_impl(ctx):
    binary = ctx.attr.binary[0][DefaultInfo]
    program = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.symlink(
        output = program,
        target_file = binary.files_to_run.executable,
        is_executable = True,
    )
    return [DefaultInfo(executable = program, runfiles = binary.default_runfiles)]

_clang_binary = rule(
    implementation = _clang_binary_impl,
    attrs = {
        "binary": attr.label(cfg = _to_clang, executable = True, mandatory = True),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    },
    executable = True,
    doc = "A cc_binary with all that it is linked from, compiled by Clang for fuzzing.",
)

def _fuzz_binary(name, srcs, deps, local_defines = []):
    cc_binary(
        name = name + "_by_any_compiler",
        testonly = True,
        srcs = srcs,
        local_defines = local_defines,
        # Only Clang has the main() that is missing.
        tags = ["manual"],
        deps = deps,
    )
    _clang_binary(
        name = name,
        testonly = True,
        binary = name + "_by_any_compiler",
    )

def _planted_source(name, file, old, new):
    """A copy of a source file with a bug in it."""
    native.genrule(
        name = name,
        testonly = True,
        srcs = [file],
        outs = [name + ".cc"],
        cmd = "$(location :plant) $(SRCS) $@ '%s' '%s'" % (old, new),
        tools = [":plant"],
    )

def _fuzz_test(name, mode, binary, dictionary, corpus, count, tags, size, timeout = None):
    native.sh_test(
        name = name,
        size = size,
        timeout = timeout,
        srcs = ["fuzz_test.sh"],
        args = [
            mode,
            "$(location %s)" % binary,
            str(count),
            "$(location %s)" % dictionary if dictionary else "-",
        ],
        data = [binary] + native.glob([corpus + "/*"]) + ([dictionary] if dictionary else []),
        env = {"CORPUS": native.package_name() + "/" + corpus},
        tags = tags,
    )

def fuzz_target(name, srcs, deps, runs, planted, planted_runs, dictionary = None, local_defines = []):
    """A fuzz target, NAME_fuzz, and its tests.

    NAME_fuzz_test      the corpus in corpus/NAME and a number of mutations, always the same
    NAME_planted_test   the program with a bug put in: fails unless the fuzzer finds it
    NAME_long_test      ten minutes, different ones each time; tagged long and manual

    Args:
      name: of the target.
      srcs: with LLVMFuzzerTestOneInput().
      deps: what these need.
      runs: how many inputs NAME_fuzz_test tries; seconds, not minutes.
      planted: the bug. {"mutation": NAME}: srcs see NAME as TASKFARM_MUTATION and put it into the
        options of what they test. {"file", "old", "new"}: in a copy of that source file, old
        (there exactly once) becomes new, and the copy is linked in the file's place.
      planted_runs: how many inputs at most the fuzzer may need for it.
      dictionary: optional, a file of libFuzzer's -dict.
      local_defines: of srcs.
    """
    corpus = "corpus/" + name
    _fuzz_binary(name + "_fuzz", srcs, deps, local_defines)
    if "mutation" in planted:
        defines = local_defines + ["TASKFARM_MUTATION=" + planted["mutation"]]
        _fuzz_binary(name + "_planted_fuzz", srcs, deps, defines)
    else:
        # An object file that is named comes before the same in a library, which is then left out.
        copy = name + "_planted_source"
        _planted_source(copy, planted["file"], planted["old"], planted["new"])
        _fuzz_binary(name + "_planted_fuzz", srcs + [copy + ".cc"], deps, local_defines)
    _fuzz_test(name + "_fuzz_test", "short", name + "_fuzz", dictionary, corpus, runs, [], "medium")
    _fuzz_test(
        name + "_planted_test",
        "planted",
        name + "_planted_fuzz",
        dictionary,
        corpus,
        planted_runs,
        [],
        "medium",
    )
    _fuzz_test(
        name + "_long_test",
        "long",
        name + "_fuzz",
        dictionary,
        corpus,
        600,
        ["long", "manual"],
        "large",
    )
