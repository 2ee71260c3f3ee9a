"""A program as a release build has it, whatever the build around it is."""

def _release_transition_impl(_settings, _attr):
    return {"//command_line_option:compilation_mode": "opt"}

_release_transition = transition(
    implementation = _release_transition_impl,
    inputs = [],
    outputs = ["//command_line_option:compilation_mode"],
)

def _release_binary_impl(ctx):
    binary = ctx.attr.binary[0][DefaultInfo]
    out = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.symlink(output = out, target_file = binary.files_to_run.executable)
    return DefaultInfo(
        executable = out,
        files = depset([out]),
        runfiles = binary.default_runfiles,
    )

release_binary = rule(
    implementation = _release_binary_impl,
    doc = "`binary`, built with -c opt under a name of its own.",
    executable = True,
    attrs = {
        "binary": attr.label(cfg = _release_transition, executable = True, mandatory = True),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    },
)
