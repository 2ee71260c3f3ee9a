"""Tests of what may depend on what, asked of the build graph."""

# Bazel's own toolchains are in every closure and say nothing about our code.
_OPTS = ["--noimplicit_deps", "--nohost_deps"]

def _query_test(name, expression, scope, allowed):
    native.genquery(
        name = name + "_answer",
        testonly = True,
        expression = expression,
        opts = _OPTS,
        scope = scope,
    )
    native.sh_test(
        name = name,
        size = "small",
        srcs = ["answer_test.sh"],
        args = ["$(location :%s_answer)" % name] + allowed,
        data = [":%s_answer" % name],
    )

def closure_test(name, target, allowed):
    """Fails unless all that the target depends on is allowed.

    Args:
      name: of the test.
      target: a label.
      allowed: labels, the target's own among them, or beginnings of labels that end in / or :.
    """
    _query_test(name, "kind(rule, deps(%s))" % target, [target], allowed)

def users_test(name, library, targets, allowed):
    """Fails unless the library has direct users below the targets, all of them allowed.

    Args:
      name: of the test.
      library: a label.
      targets: labels, whose closures are searched.
      allowed: labels, or beginnings of labels that end in / or :.
    """
    expression = "rdeps(set(%s), %s, 1) except %s" % (" ".join(targets), library, library)
    _query_test(name, expression, targets + [library], allowed)

def unreachable_test(name, library, targets):
    """Fails if any of the targets depends on the library, however indirectly."""
    expression = "deps(set(%s)) intersect %s" % (" ".join(targets), library)
    _query_test(name, expression, targets + [library], [])
