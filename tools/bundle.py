#!/usr/bin/env python3
"""Puts a worker and the shared libraries it needs into one tar file; see the text of --help."""

import argparse
import gzip
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

# Beside this file, in the tree of what it needs to run.
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
WORKER = os.path.join(ROOT, "worker", "worker_zmq")
LICENSE = os.path.join(ROOT, "LICENSE")

DESCRIPTION = """\
Makes one tar file with a worker for ZeroMQ farms and the shared libraries that it needs beyond the
C library's. Unpacked on another machine it runs as it is: nothing is installed, no variable is set.
It holds no keys; what to do next is printed.
"""

# What any Linux with glibc has, in the release that fits its kernel and name service: it must come
# from there, all of one piece.
C_LIBRARY = re.compile(
    r"(ld-linux.*|linux-vdso|linux-gate|libc|libm|libmvec|libpthread|libdl|librt|libresolv|libutil"
    r"|libanl|libnsl|libnss_\w+|libthread_db|libBrokenLocale)\.so(\.\d+)*"
)
README = """\
{name}: a task farm's worker with its libraries, for machines that have neither.

    {name}/{name} {flags} --keys=FILE

FILE is what keygen wrote for this machine; copy it here on its own, readable by you alone.
--help lists the flags. Needs {needs}.
licenses/ has the notices of what is in lib/.
"""


class BundleError(Exception):
    """What the user can do something about."""


def run(*command, failures=()):
    """The standard output of a program that ends with status 0 or one of `failures`."""
    # What its user preloads or prefers is no part of the bundle.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("LD_")}
    environment["LC_ALL"] = "C"
    try:
        done = subprocess.run(
            command, env=environment, check=False, stdin=subprocess.DEVNULL, capture_output=True
        )
    except FileNotFoundError:
        raise BundleError(f"{command[0]} is not installed: run ./setup.sh") from None
    if done.returncode not in (0, *failures):
        raise BundleError(f"{' '.join(command)}: {done.stderr.decode().strip()}")
    return done.stdout.decode()


def shared_libraries(program):
    """The shared libraries that a program needs beyond the C library: name to path."""
    libraries = {}
    for line in run("ldd", program).splitlines():
        name, arrow, where = line.strip().partition(" => ")
        if not arrow or C_LIBRARY.fullmatch(os.path.basename(name)):
            continue
        path = where.partition(" (")[0]
        if re.match(r"libmp(i|ich)", name):
            raise BundleError(f"{program} needs MPI: build it with //:taskfarm_zmq instead")
        if path == "not found":
            raise BundleError(f"{program} needs {name}, which is not on this machine")
        libraries[name] = path
    return libraries


def glibc_needed(files):
    """The oldest release of glibc, as (2, 36), that has all that the files ask of it."""
    versions = [(0, 0)]
    for file in files:
        needed = run("readelf", "--version-info", "--wide", file)
        for text in re.findall(r"Name: GLIBC_(\d+\.\d+)", needed):
            versions.append(tuple(map(int, text.split("."))))
    return max(versions)


def notices_of(libraries):
    """The copyright notices of files that Debian packages brought: package to path."""
    # Where /lib is a link to /usr/lib, packages may name their files by either.
    names = {}
    for path in map(os.path.realpath, libraries):
        other = path[len("/usr") :] if path.startswith("/usr/") else "/usr" + path
        names[path] = names[other] = path
    packages = {}
    for line in run("dpkg-query", "--search", *names, failures=(1,)).splitlines():
        package, _, name = line.partition(": ")
        packages[names.get(name)] = package.partition(":")[0]
    notices = {}
    for path in names.values():
        notice = f"/usr/share/doc/{packages.get(path)}/copyright"
        if not os.path.exists(notice):
            raise BundleError(f"no Debian package has brought {path}, so its licence is not known")
        notices[packages[path]] = notice
    return notices


def fill_folder(folder, program, name, flags):
    """Makes the bundle as a folder; what it needs on the other machine, in words."""
    libraries = shared_libraries(program)
    for part in ("", "lib", "licenses"):
        os.mkdir(os.path.join(folder, part))
    worker = os.path.join(folder, name)
    shutil.copyfile(program, worker)
    os.chmod(worker, 0o755)
    # An RPATH, unlike a RUNPATH, holds for what the libraries need as well. Unlike a variable it is
    # not passed on to the commands that the worker runs.
    run("patchelf", "--force-rpath", "--set-rpath", "$ORIGIN/lib", worker)
    shutil.copyfile(LICENSE, os.path.join(folder, "licenses", "taskfarm"))
    for library, path in libraries.items():
        shutil.copyfile(path, os.path.join(folder, "lib", library))
    for package, notice in notices_of(libraries.values()).items():
        shutil.copyfile(notice, os.path.join(folder, "licenses", package))
    for library, path in shared_libraries(worker).items():
        if os.path.dirname(os.path.realpath(path)) != os.path.realpath(os.path.join(folder, "lib")):
            raise BundleError(f"{library} is found at {path} and not in the bundle")
    copies = [os.path.join(folder, "lib", library) for library in libraries]
    release = ".".join(map(str, glibc_needed([worker] + copies)))
    needs = f"Linux on {platform.machine()} with glibc {release} or newer"
    with open(os.path.join(folder, "README"), "w", encoding="utf-8") as readme:
        readme.write(README.format(name=name, flags=flags, needs=needs))
    return needs


def write_tar(folder, out):
    """Writes a folder as a tar file whose bytes depend on the contents alone."""

    def plain(entry):
        entry.uid = entry.gid = entry.mtime = 0
        entry.uname = entry.gname = "root"
        entry.mode = 0o755 if entry.isdir() or entry.mode & 0o100 else 0o644
        return entry

    unfinished = f"{out}.{os.getpid()}.part"
    try:
        with open(unfinished, "wb") as file:
            with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
                with tarfile.open(mode="w", fileobj=packed, format=tarfile.PAX_FORMAT) as tar:
                    # Adds what is in a folder sorted by name.
                    tar.add(folder, os.path.basename(folder), filter=plain)
        os.replace(unfinished, out)
    except OSError as error:
        raise BundleError(f"cannot write {out}: {error.strerror}") from None
    finally:
        if os.path.exists(unfinished):
            os.remove(unfinished)


def next_steps(out, name, flags, needs):
    archive = os.path.basename(out)
    size_mb = os.path.getsize(out) / 1e6
    return f"""\
wrote {out} ({size_mb:.1f} MB); it runs on {needs}
For each machine, say NAME, that is to work for a master on HEAD:
  bazel run //tools:keygen -- NAME        # writes NAME.key: one file a machine, never in the tar
  scp {out} NAME.key NAME:
  ssh NAME tar xf {archive}
  ssh NAME {name}/{name} {flags} --keys=NAME.key"""


def make_bundle(arguments):
    """Makes what the arguments ask for; the text for the user."""
    # `bazel run` starts this elsewhere; the paths are meant from where the user is.
    here = os.environ.get("BUILD_WORKING_DIRECTORY", "")
    program = os.path.join(here, arguments.program) if arguments.program else WORKER
    name = os.path.basename(arguments.program) if arguments.program else "taskfarm_worker"
    flags = ("--worker " if arguments.program else "") + "--transport=zmq://HEAD:5555"
    out = os.path.join(here, arguments.out or f"{name}.tar.gz")
    if not os.path.isfile(program):
        raise BundleError(f"there is no program {program}")
    with tempfile.TemporaryDirectory(prefix="taskfarm_bundle_") as scratch:
        folder = os.path.join(scratch, name)
        needs = fill_folder(folder, program, name, flags)
        write_tar(folder, out)
    return next_steps(out, name, flags, needs)


def main():
    parser = argparse.ArgumentParser(
        prog="bundle", description=DESCRIPTION, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", help="the file to write; default: taskfarm_worker.tar.gz, here")
    parser.add_argument(
        "--program",
        help="instead of the worker for commands: a program of your own that calls taskfarm::Main\n"
        "and is built with //:taskfarm_zmq",
    )
    try:
        print("bundle: " + make_bundle(parser.parse_args()))
    except BundleError as error:
        print(f"bundle: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
