"""tools:bundle: what is in the tar file, and that it runs where there is nothing but libc."""

import gzip
import os
import shutil
import subprocess
import tarfile
import unittest

from tests.end_to_end import processes

# All that the other machine has, besides /proc and /dev/null.
PACKAGES = ('libc6', 'dash')
IN_ROOT = '''
set -e
root=$1
shift
mount --rbind /proc "$root/proc"
mount --bind /dev/null "$root/dev/null"
exec chroot "$root" "$@"
'''
TASKS = 30


# As root, or as root of a user namespace of its own.
NEW_ROOT = ['unshare', '--user', '--map-root-user', '--mount', '--', 'sh', '-c']


def why_no_root():
  """Why a process cannot get another root here; empty if it can."""
  tried = subprocess.run(NEW_ROOT + ['mount --rbind /proc /proc'], capture_output=True, check=False)
  return tried.stderr.decode().strip().split('\n')[-1] if tried.returncode else ''


class Bundles(processes.EndToEndTest):

  def bundle(self, *flags, **options):
    return self.run_to_end(processes.runfile('tools/bundle'), *flags, **options)

  def make(self, out, *flags, **options):
    """The path of a bundle."""
    self.assert_ok(self.bundle(f'--out={self.path(out)}', *flags, **options))
    return self.path(out)

  def bundle_of_worker(self):
    """The path of the one that most tests use."""
    made = os.path.join(os.environ['TEST_TMPDIR'], 'bundle.tar.gz')
    if not os.path.exists(made):
      shutil.move(self.make('bundle.tar.gz'), made)
    return made


class BundleTest(Bundles):

  def assert_refused(self, why, *flags):
    process = self.bundle(*flags)
    self.assertEqual(process.status, 2)
    self.assertRegex(process.stderr, why)

  def test_contents(self):
    made = self.bundle(env={'BUILD_WORKING_DIRECTORY': self.folder})
    self.assertEqual(made.status, 0, made.stderr)
    self.assertRegex(made.stdout, rb'runs on Linux on \S+ with glibc 2\.\d+ or newer\n')
    self.assertRegex(made.stdout, rb'taskfarm_worker/taskfarm_worker --transport=zmq://')
    self.assertEqual(os.listdir(self.folder), ['taskfarm_worker.tar.gz'])
    with tarfile.open(self.path('taskfarm_worker.tar.gz')) as tar:
      entries = tar.getmembers()
    self.assertEqual({(entry.uid, entry.gid, entry.mtime) for entry in entries}, {(0, 0, 0)})
    names = [entry.name.removeprefix('taskfarm_worker').removeprefix('/') for entry in entries]
    self.assertEqual(names, sorted(names, key=lambda name: name.split('/')))
    for wanted in ('taskfarm_worker', 'README', 'licenses/taskfarm', 'licenses/libzmq5',
                   'lib/libzmq.so.5', 'lib/libsodium.so.23', 'lib/libstdc++.so.6',
                   'lib/libgcc_s.so.1'):
      self.assertIn(wanted, names)
    for name in names:
      self.assertNotRegex(name, r'lib/(ld-|lib(c|m|pthread|dl|rt|resolv|mpich)\.so)|\.key')

  def test_the_same_bytes_each_time(self):
    first = self.bundle_of_worker()
    second = self.make('second.tar.gz', env={'LD_LIBRARY_PATH': '/nowhere', 'LANG': 'de_DE'},
                       cwd='/')
    with gzip.open(first) as one, gzip.open(second) as other:
      self.assertTrue(one.read() == other.read(), 'the contents differ')
    with open(first, 'rb') as one, open(second, 'rb') as other:
      self.assertTrue(one.read() == other.read(), 'the compressed files differ')

  def test_wrong_use(self):
    self.assert_refused(rb'there is no program /nowhere/worker', '--program=/nowhere/worker')
    self.assert_refused(rb'needs MPI: build it with //:taskfarm_zmq',
                        f'--program={processes.program("chunk_sum")}')
    self.assert_refused(rb'cannot write /proc/nothing.tar.gz', '--out=/proc/nothing.tar.gz')
    self.assert_refused(rb'ldd .*: not a dynamic executable', f'--program={__file__}')


@unittest.skipIf(why_no_root(), f'needs root, or user namespaces: {why_no_root()}')
class OtherMachineTest(Bundles):
  """The other machine is a folder that becomes the root of its processes."""

  def setUp(self):
    super().setUp()
    self.root = self.path('root')
    for folder in ('proc', 'dev', 'tmp', 'etc'):
      os.makedirs(os.path.join(self.root, folder))
    self.write('root/dev/null', '')
    for folder in ('bin', 'lib', 'lib64'):  # Debian 12: links into /usr
      os.makedirs(os.path.join(self.root, 'usr', folder))
      os.symlink(f'usr/{folder}', os.path.join(self.root, folder))
    listed = subprocess.run(['dpkg-query', '--listfiles', *PACKAGES], capture_output=True,
                            check=True, text=True)
    for name in listed.stdout.split('\n'):
      if name.startswith(('/lib', '/bin', '/usr/bin', '/usr/lib')) and os.path.isfile(name):
        self.copy(name, name[1:])
    shutil.copy('/bin/sh', os.path.join(self.root, 'bin/sh'))

  def copy(self, path, name):
    target = os.path.join(self.root, name)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    shutil.copy(path, target)

  def unpack(self, archive):
    with tarfile.open(archive) as tar:
      tar.extractall(self.root)

  def start_there(self, *command):
    return self.start(*NEW_ROOT, IN_ROOT, 'sh', self.root, *command)

  def start_worker_there(self, program, url, *flags):
    """A worker that has been unpacked there, with a key file that was brought."""
    keygen = processes.runfile('tools/keygen')
    self.assert_ok(self.start(keygen, self._testMethodName, f'--out={self.root}/there.key'))
    return self.start_there(program, f'--transport={url}', '--keys=/there.key', *flags)

  def test_the_machine_lacks_the_libraries(self):
    self.copy(processes.program('worker_zmq'), 'worker')
    process = self.start_there('/worker', '--help')
    self.assertEqual(process.wait(), 127)
    self.assertIn(b'error while loading shared libraries', process.stderr)

  def test_commands(self):
    self.unpack(self.bundle_of_worker())
    shown = self.start_there('/taskfarm_worker/taskfarm_worker', '--help')
    self.assert_ok(shown)
    self.assertIn(b'--transport', shown.stdout)
    # `export` shows what a command would pass on; the linker's variables are not among it.
    tasks = self.write('tasks.txt', ''.join(f'[ ! -e /usr/lib/apt ] && echo {i} && export -p\n'
                                            for i in range(TASKS)))
    master = self.start_zmq_master(processes.program('master_zmq'), '--keep_order', tasks)
    worker = self.start_worker_there('/taskfarm_worker/taskfarm_worker', master.url)
    self.assert_ok(master)
    self.assert_ok(worker)
    lines = master.stdout.decode().split('\n')
    self.assertEqual([line for line in lines if line.isdigit()], list(map(str, range(TASKS))))
    self.assertNotIn('LD_', master.stdout.decode())

  def test_functions_in_processes_of_their_own(self):
    # The worker starts its own binary again for each slot, and once more after the crash.
    scramble = processes.runfile('tests/faults/scramble')
    self.unpack(self.make('bundle.tar.gz', f'--program={scramble}'))
    master = self.start_zmq_master(scramble, f'--tasks={TASKS}', '--killer=3', '--crash_limit=1')
    worker = self.start_worker_there('/scramble/scramble', master.url, '--worker',
                                     '--isolation=process', '--slots=2')
    self.assert_ok(master)
    self.assert_ok(worker)
    lines = master.stdout.decode().split('\n')[:-1]
    self.assertEqual(len(lines), TASKS)
    self.assertIn('3 crashed', lines)


if __name__ == '__main__':
  unittest.main(verbosity=2)  # which tells why a test was skipped
