"""Identities that are given and taken away while a farm is at work, as a user does it."""

import os
import unittest

from tests.hostile import hostile


class RevokedTest(hostile.HostileTest):

  def assert_refused(self, worker, text=rb'not on its list', status=3):
    self.assertEqual(worker.wait(), status, worker.stderr)
    self.assertRegex(worker.stderr, text)

  def test_a_worker_with_a_key_of_its_own_and_without_it(self):
    self.keygen('laptop')
    flag = f'--keys={self.path("laptop.key")}'
    worker = self.start_worker(flag)
    worker.wait_for(b'joined the farm')
    self.keygen('--revoke', 'laptop')
    self.assert_refused(worker)
    self.assert_refused(self.start_worker(flag))
    # The name can be given again, and that is another key.
    os.rename(self.path('laptop.key'), self.path('old.key'))
    self.keygen('laptop')
    self.takes_in(self.start_worker(flag))
    self.assert_refused(self.start_worker(f'--keys={self.path("old.key")}'))
    self.assert_nothing_happened()

  def test_the_owner_is_revoked_and_gets_a_new_key(self):
    self.keygen('spare')
    self.keygen('--revoke=owner')
    for worker in self.workers:
      self.assert_refused(worker)
    self.descriptors_before -= len(self.workers)
    self.workers = []
    self.takes_in(self.start_worker(f'--keys={self.path("spare.key")}'))
    self.assert_refused(self.start_worker(), rb'has no key', status=2)
    self.keygen('owner')
    self.takes_in(self.start_worker())
    self.assert_nothing_happened()

  def test_a_broken_list_changes_nothing_for_others(self):
    self.write('.taskfarm/workers/broken', 'not a key')
    self.master.wait_for(rb'workers/broken')
    os.chmod(self.path('.taskfarm/workers'), 0o755)
    self.keygen('x', status=2)
    os.chmod(self.path('.taskfarm/workers'), 0o700)
    self.takes_in(self.start_worker())
    self.assert_nothing_happened()


if __name__ == '__main__':
  unittest.main()
