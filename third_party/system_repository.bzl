"""Repository rules that give installed files the labels other people's BUILD files expect."""

def not_installed(what):
    """Stops with the one thing the reader can do about it.

    Args:
      what: the file or package that was looked for.
    """
    fail("\n\n    %s is not installed: run ./setup.sh of taskfarm\n" % what)

def pkg_config_variable(ctx, module, variable):
    """Returns a variable of a pkg-config module; stops when the module is not installed.

    Args:
      ctx: of the repository rule.
      module: name of the .pc file, without its ending.
      variable: e.g. "includedir".
    """
    if not ctx.which("pkg-config"):
        not_installed("pkg-config")
    result = ctx.execute(["pkg-config", "--variable=" + variable, module])
    if result.return_code != 0:
        not_installed("the development package of " + module)
    return result.stdout.strip()

def _bazel_rules_repository_impl(ctx):
    source = ctx.path(ctx.attr.path)
    if not source.exists:
        not_installed("Bazel's %s (%s)" % (ctx.name, ctx.attr.path))
    for entry in source.readdir():
        ctx.symlink(entry, entry.basename)

bazel_rules_repository = repository_rule(
    implementation = _bazel_rules_repository_impl,
    attrs = {"path": attr.string(mandatory = True)},
    local = True,
    doc = "A copy, by links, of a folder in which Debian installs rules for Bazel.",
)

def _stub_repository_impl(ctx):
    ctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % ctx.name)
    for label, path in ctx.attr.files.items():
        ctx.symlink(label, path)

stub_repository = repository_rule(
    implementation = _stub_repository_impl,
    attrs = {"files": attr.label_keyed_string_dict(allow_files = True, mandatory = True)},
    doc = "A repository made of files kept in taskfarm's own tree: label -> path in the repository.",
)

def _system_library_impl(ctx):
    for header in ctx.attr.headers:
        if not ctx.path("/usr/include/" + header).exists:
            not_installed("<%s>" % header)
    for source, path in ctx.attr.links.items():
        target = ctx.path("/usr/" + source)
        if not target.exists:
            not_installed("/usr/" + source)
        ctx.symlink(target, path)
    if ctx.attr.include_dir_of:
        directory = pkg_config_variable(ctx, ctx.attr.include_dir_of, "includedir")
        if not ctx.path(directory).exists:
            not_installed(directory)
        ctx.symlink(directory, "include")
    ctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % ctx.name)
    ctx.symlink(ctx.attr.build_file, "BUILD")

system_library = repository_rule(
    implementation = _system_library_impl,
    attrs = {
        "build_file": attr.label(mandatory = True, allow_single_file = True),
        "headers": attr.string_list(doc = "Must exist under /usr/include."),
        "include_dir_of": attr.string(doc = "A pkg-config module whose includedir becomes include/."),
        "links": attr.string_dict(doc = "Path under /usr -> path in the repository."),
    },
    local = True,
    environ = ["PKG_CONFIG_PATH"],
    doc = "A library installed on the system. Its headers in /usr/include need no declaration.",
)
