"""Abseil as Debian installs it, under the labels Abseil's own BUILD files give.

Debian ships a pkg-config file for each Abseil target, "absl_" and the target's name, that says
what it links and which other targets it needs. Each becomes a cc_library in the root package;
the public ones get an alias in the package they come from, e.g. //absl/status:statusor.
"""

load("//third_party:system_repository.bzl", "not_installed", "pkg_config_variable")

# Package -> its public targets.
_PUBLIC = {
    "algorithm": ["algorithm", "container"],
    "base": ["base", "config", "core_headers", "dynamic_annotations", "endian", "log_severity"],
    "cleanup": ["cleanup"],
    "container": [
        "btree",
        "fixed_array",
        "flat_hash_map",
        "flat_hash_set",
        "inlined_vector",
        "node_hash_map",
        "node_hash_set",
    ],
    "debugging": ["failure_signal_handler", "leak_check", "stacktrace", "symbolize"],
    "flags": [
        "commandlineflag",
        "config",
        "flag",
        "marshalling",
        "parse",
        "reflection",
        "usage",
    ],
    "functional": ["any_invocable", "bind_front", "function_ref"],
    "hash": ["hash"],
    "memory": ["memory"],
    "meta": ["type_traits"],
    "numeric": ["bits", "int128"],
    "random": ["bit_gen_ref", "distributions", "random", "seed_gen_exception", "seed_sequences"],
    "status": ["status", "statusor"],
    "strings": ["cord", "str_format", "strings"],
    "synchronization": ["synchronization"],
    "time": ["time"],
    "types": ["any", "compare", "optional", "span", "variant"],
    "utility": ["utility"],
}

# Packages whose targets carry the package's name in their pkg-config file.
_PREFIXED_PACKAGES = ["flags", "random"]

# What does not follow the rule "absl_" + target.
_MODULES = {
    "absl/algorithm:container": "absl_algorithm_container",
    "absl/flags:flag": "absl_flags",
}

def _module_of(package, target):
    label = "absl/%s:%s" % (package, target)
    if label in _MODULES:
        return _MODULES[label]
    if package in _PREFIXED_PACKAGES:
        return "absl_%s_%s" % (package, target)
    return "absl_" + target

def _field(text, name):
    """Returns the value of the line "name: value" of a pkg-config file, or an empty string."""
    for line in text.split("\n"):
        if line.startswith(name + ":"):
            return line[len(name) + 1:].strip()
    return ""

def _library_rule(module, text):
    # "Requires: a = 1, b = 1"; "Libs: -L${libdir} -lfoo", where the linker looks in libdir anyway.
    requires = [word.strip().split(" ")[0] for word in _field(text, "Requires").split(",")]
    flags = [flag for flag in _field(text, "Libs").split(" ") if flag and not flag.startswith("-L")]
    return "cc_library(name = %r, linkopts = %r, deps = %r)\n" % (
        module,
        flags,
        [":" + name for name in requires if name],
    )

def _absl_repository_impl(ctx):
    directory = ctx.path(pkg_config_variable(ctx, "absl_base", "pcfiledir"))
    load_line = "load(\"@rules_cc//cc:defs.bzl\", \"cc_library\")\n"
    visibility = "package(default_visibility = [\"//visibility:public\"])\n"
    modules = {}
    for file in directory.readdir():
        name = file.basename
        if name.startswith("absl_") and name.endswith(".pc"):
            module = name[:-len(".pc")]
            modules[module] = _library_rule(module, ctx.read(file))
    ctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % ctx.name)
    ctx.file("BUILD", load_line + visibility + "".join(modules.values()))
    for package, targets in _PUBLIC.items():
        aliases = ""
        for target in targets:
            module = _module_of(package, target)
            if module not in modules:
                not_installed("libabsl-dev 20220623 (%s.pc)" % module)
            aliases += "alias(name = %r, actual = \"//:%s\")\n" % (target, module)
        ctx.file("absl/%s/BUILD" % package, visibility + aliases)

absl_repository = repository_rule(
    implementation = _absl_repository_impl,
    local = True,
    environ = ["PKG_CONFIG_PATH"],
)
