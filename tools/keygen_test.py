"""The built keygen, run as a user runs it."""

import os
import re
import shutil
import stat
import subprocess
import tempfile
import unittest

KEYGEN = os.path.join(os.environ['TEST_SRCDIR'], os.environ['TEST_WORKSPACE'], 'tools/keygen')
TIMEOUT_S = 120


class KeygenTest(unittest.TestCase):

  def setUp(self):
    self.home = tempfile.mkdtemp(dir=os.environ['TEST_TMPDIR'])
    self.addCleanup(shutil.rmtree, self.home)
    self.said = ''

  def path(self, *names):
    return os.path.join(self.home, *names)

  def read(self, *names):
    with open(self.path(*names), encoding='utf-8') as file:
      return file.read()

  def mode(self, *names):
    return stat.S_IMODE(os.lstat(self.path(*names)).st_mode)

  def fields(self, *names):
    """What a key file holds, as a dictionary."""
    lines = [line for line in self.read(*names).splitlines() if not line.startswith('#')]
    self.assertEqual(lines[0], 'taskfarm-key 1')
    return dict(line.split(' ', 1) for line in lines[1:])

  def start(self, *arguments, **environment):
    everything = {'HOME': self.home, 'PATH': '/usr/bin:/bin', **environment}
    return subprocess.Popen([KEYGEN, *arguments], cwd=self.home, env=everything, text=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)

  def keygen(self, *arguments, **environment):
    """Runs it; what it printed, if all is well."""
    process = self.start(*arguments, **environment)
    stdout, stderr = process.communicate(timeout=TIMEOUT_S)
    self.said += stdout + stderr
    self.assertEqual((process.returncode, stderr), (0, ''))
    return stdout

  def refused(self, *arguments, status=2):
    """Runs it; the one line that says why not."""
    process = self.start(*arguments)
    stdout, stderr = process.communicate(timeout=TIMEOUT_S)
    self.said += stdout + stderr
    self.assertEqual((process.returncode, stdout), (status, ''), stderr)
    self.assertRegex(stderr, r'\Akeygen: .+\n\Z')
    return stderr

  def test_lets_a_worker_in(self):
    printed = self.keygen('laptop')
    self.assertEqual(
        printed,
        f'Made new keys in {self.home}/.taskfarm.\n'
        'Wrote laptop.key, a secret: who has it is let in as laptop.\n'
        'Copy it:       scp laptop.key HOST:\n'
        'On that host:  worker --keys=laptop.key --transport=zmq://MASTER:PORT\n')
    self.assertEqual(self.mode('laptop.key'), 0o600)
    self.assertEqual(self.mode('.taskfarm'), 0o700)
    worker = self.fields('laptop.key')
    master = self.fields('.taskfarm', 'master.key')
    self.assertEqual(worker['kind'], 'worker')
    self.assertEqual(worker['name'], 'laptop')
    self.assertEqual(worker['master_public_key'], master['public_key'])
    self.assertEqual(self.fields('.taskfarm', 'workers', 'laptop'),
                     {'kind': 'identity', 'name': 'laptop', 'public_key': worker['public_key']})
    self.assertEqual(self.keygen('--list'), 'laptop\nowner\n')
    keys = [value for fields in (worker, master, self.fields('.taskfarm', 'worker.key'))
            for name, value in fields.items() if name.endswith('_key')]
    self.assertEqual(len(set(keys)), 6)  # three pairs
    for key in keys:
      self.assertRegex(key, r'\A[0-9a-zA-Z.:+=^!/*?&<>()\[\]{}@%$#-]{40}\Z')

  def test_revokes(self):
    self.keygen('a')
    self.keygen('b')
    self.assertEqual(self.keygen('--revoke', 'a'), 'a is not let in any more.\n')
    self.assertEqual(self.keygen('--revoke=b'), 'b is not let in any more.\n')
    self.assertEqual(self.keygen('--list'), 'owner\n')
    self.assertIn('a is not let in', self.refused('--revoke', 'a'))
    self.assertIn('a.key exists already', self.refused('a'))
    os.remove(self.path('a.key'))
    self.keygen('a')

  def test_overwrites_nothing(self):
    self.keygen('a', '--out=first.key')
    first = self.read('first.key')
    self.assertIn('a is let in already: --revoke a first', self.refused('a'))
    self.assertIn('first.key exists already', self.refused('b', '--out=first.key'))
    self.assertEqual(self.read('first.key'), first)
    self.assertEqual(self.keygen('--list'), 'a\nowner\n')

  def test_keys_elsewhere(self):
    printed = self.keygen('a', f'--keys={self.path("keys")}', '--out', self.path('the.key'))
    self.assertIn(f'scp {self.path("the.key")} HOST:', printed)
    self.assertIn('worker --keys=the.key', printed)
    self.assertEqual(self.keygen('--list', '--keys=keys'), 'a\nowner\n')
    self.assertFalse(os.path.exists(self.path('.taskfarm')))

  def test_bazel_run_writes_where_the_user_is(self):
    os.mkdir(self.path('here'))
    self.keygen('a', BUILD_WORKING_DIRECTORY=self.path('here'))
    self.assertTrue(os.path.exists(self.path('here', 'a.key')))

  def test_renews_the_owner(self):
    self.keygen('a')
    before = self.fields('.taskfarm', 'worker.key')
    self.keygen('--revoke', 'owner')
    self.assertIn('/.taskfarm/worker.key', self.keygen('owner'))
    after = self.fields('.taskfarm', 'worker.key')
    self.assertNotEqual(after['public_key'], before['public_key'])
    self.assertEqual(after['master_public_key'], before['master_public_key'])
    self.assertEqual(self.fields('.taskfarm', 'workers', 'owner')['public_key'],
                     after['public_key'])

  def test_many_at_once(self):
    names = [f'worker-{i}' for i in range(8)]
    processes = [self.start(name) for name in names]
    for process in processes:
      stderr = process.communicate(timeout=TIMEOUT_S)[1]
      self.assertEqual((process.returncode, stderr), (0, ''))
    self.assertEqual(self.keygen('--list').split(), sorted(names + ['owner']))
    master = self.fields('.taskfarm', 'master.key')['public_key']
    for name in names:
      self.assertEqual(self.fields(f'{name}.key')['master_public_key'], master)

  def test_wrong_use(self):
    for arguments, text in (
        ([], 'give one of NAME, --revoke NAME and --list'),
        (['a', 'b'], 'give one of'),
        (['a', '--list'], 'give one of'),
        (['a', '--revoke=b'], 'give one of'),
        (['--list', '--out=x'], '--out'),
        (['--revoke'], '--revoke needs a value'),
        (['--nonsense'], "unknown flag '--nonsense'"),
        (['../a'], 'a name has 1 to 64 letters'),
        (['x' * 65], 'a name has 1 to 64 letters'),
        (['--revoke=../master.key'], 'a name has 1 to 64 letters'),
        (['--list'], '.taskfarm'),
        (['--revoke=a'], '.taskfarm'),
        (['a', '--keys=no/such'], 'no/such'),
    ):
      with self.subTest(arguments=arguments):
        self.assertIn(text, self.refused(*arguments))
    self.assertEqual(os.listdir(self.home), [])
    self.keygen('a')
    self.assertIn('no/such.key', self.refused('b', '--out=no/such.key'))

  def test_refuses_keys_that_others_can_read(self):
    self.keygen('a')
    os.chmod(self.path('.taskfarm'), 0o750)
    for arguments in (['b'], ['--list'], ['--revoke=a']):
      self.assertIn(f'chmod 700 {self.path(".taskfarm")}', self.refused(*arguments))
    os.chmod(self.path('.taskfarm'), 0o700)
    os.chmod(self.path('.taskfarm', 'master.key'), 0o644)
    self.assertIn(f'chmod 600 {self.path(".taskfarm", "master.key")}', self.refused('b'))

  def test_lists_what_can_be_read(self):
    self.keygen('a')
    with open(self.path('.taskfarm', 'workers', 'a'), 'w', encoding='utf-8') as file:
      file.write('taskfarm-key 1\n')
    process = self.start('--list')
    stdout, stderr = process.communicate(timeout=TIMEOUT_S)
    self.assertEqual((process.returncode, stdout), (0, 'owner\n'))
    self.assertRegex(stderr, r'\Akeygen: .*/workers/a:2: the file is cut short.*\n\Z')

  def test_help(self):
    printed = self.keygen('--help')
    for text in ('keygen NAME', '--keys', '--out', '--revoke', '--list'):
      self.assertIn(text, printed)
    self.assertEqual(os.listdir(self.home), [])

  def test_output_that_cannot_be_written(self):
    self.keygen('a')
    with open('/dev/full', 'w', encoding='utf-8') as full:
      process = subprocess.run([KEYGEN, '--list', '--keys=.taskfarm'], cwd=self.home, stdout=full,
                               timeout=TIMEOUT_S, check=False)
    self.assertEqual(process.returncode, 3)

  def tearDown(self):
    for folder, _, files in os.walk(self.home):
      for name in files:
        text = self.read(folder, name)
        for secret in re.findall(r'^secret_key (.*)$', text, re.MULTILINE):
          self.assertNotIn(secret, self.said)


if __name__ == '__main__':
  unittest.main()
