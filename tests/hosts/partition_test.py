"""A worker's host, or the master's, is parted from the others for a while."""

import itertools
import time

from tests.faults import faults
from tests.hosts import farm_on_hosts, network

# The lease, and a cut in which it runs out, in seconds.
LEASE_S = faults.size(3, 10)
CUTS_S = faults.size([4], [15, 60])
# A cut in which it does not, of the lease that users have.
SHORT_CUT_S = 2
# By when both sides have noticed: by the lease, or because nothing they send is answered.
NOTICED_S = min(LEASE_S, 5)
# By when a worker has tried again after the end of a cut: it pauses for up to 5 s, and an attempt that
# began in the cut may take 2 s more.
TRIED_AGAIN_S = 7
LOST = farm_on_hosts.LOST
NO_MASTER = rb'left the farm: (no word from the master|the connection to the master is gone)'


class PartitionTest(farm_on_hosts.ZmqHostsTest):

  def test_shorter_than_the_lease(self):
    for how in network.CUTS:
      with self.anew(how=how):
        self.start_farm()
        self.give_all_slots(self.until_own_gate)
        cut_off = self.number_of(self.workers[0])
        since = time.monotonic()
        self.worker_hosts[0].cut(how)
        self.wait_out(since, SHORT_CUT_S)
        self.worker_hosts[0].heal()
        # What it runs counts, be it that its connection has lived on or that it made a new one.
        self.open_gate_of(cut_off)
        self.master.wait_for_lines(farm_on_hosts.SLOTS)
        for number in map(self.number_of, self.workers):
          self.open_gate_of(number)
        self.end_farm()
        self.assert_started({})
        self.assertNotRegex(self.master.stderr, LOST)

  def test_longer_than_the_lease(self):
    for how, seconds in itertools.product(network.CUTS, CUTS_S):
      with self.anew(how=how, seconds=seconds):
        self.start_farm(f'--lease={LEASE_S}s', worker_flags=[f'--lease={LEASE_S}s'])
        self.give_all_slots(self.until_own_gate)
        cut_off, *others = map(self.number_of, self.workers)
        since = time.monotonic()
        self.worker_hosts[0].cut(how)
        lost = self.wait_in_time(self.master, LOST, since, NOTICED_S)
        self.assertEqual(int(lost.group(1)), cut_off)
        # Its tasks run elsewhere.
        for number in others:
          self.open_gate_of(number)
        self.master.wait_for_lines(farm_on_hosts.WORKERS * farm_on_hosts.SLOTS)
        self.wait_out(since, seconds)
        self.worker_hosts[0].heal()
        # It works again.
        again = int(self.wait_in_time(self.workers[0], farm_on_hosts.JOINED_AGAIN,
                                      time.monotonic(), TRIED_AGAIN_S).group(2))
        self.give_all_slots(self.until('last'))
        self.open('last')
        results = self.end_farm()
        by_worker = [line['worker'] for line in results.values()]
        self.assertEqual(by_worker.count(again), farm_on_hosts.SLOTS)
        self.assertNotIn(cut_off, by_worker)
        starts = self.starts()
        moved = [task for task in starts if starts[task] == 2]
        self.assertEqual(len(moved), farm_on_hosts.SLOTS)
        self.assert_started(dict.fromkeys(moved, 2))


class MasterPartitionTest(farm_on_hosts.ZmqHostsTest):

  def cut_off_master(self, *worker_flags):
    """A farm whose workers have just noticed that the master is away; since when it is."""
    self.start_farm(f'--lease={LEASE_S}s', worker_flags=[f'--lease={LEASE_S}s', *worker_flags])
    self.give_all_slots(self.until('first'))
    since = time.monotonic()
    self.master_host.cut('all packets dropped')
    for worker in self.workers:
      self.wait_in_time(worker, NO_MASTER, since, NOTICED_S)
    self.master.wait_for((LOST + rb'(?s:.)*') * farm_on_hosts.WORKERS)
    return since

  def test_it_comes_back(self):
    since = self.cut_off_master()
    self.wait_out(since, CUTS_S[0])
    self.master_host.heal()
    healed = time.monotonic()
    for worker in self.workers:
      self.wait_in_time(worker, farm_on_hosts.JOINED_AGAIN, healed, TRIED_AGAIN_S)
    self.open('first')
    self.end_farm()
    # Nobody else had a slot free: what ran has gone on.
    self.assert_started({})

  def test_it_comes_back_too_late(self):
    patience_s = faults.size(3, 60)
    self.cut_off_master(f'--master_patience={patience_s}s')
    for worker in self.workers:
      self.assertEqual(worker.wait(), 3, worker.stderr)
    self.master_host.heal()
    self.workers = [self.start_worker(host) for host in self.worker_hosts]
    for worker in self.workers:
      worker.wait_for(farm_on_hosts.JOINED)
    self.open('first')
    self.end_farm()
    # The workers that gave up have ended what they ran.
    self.assert_started(dict.fromkeys(
        faults.ids(farm_on_hosts.WORKERS * farm_on_hosts.SLOTS), 2))


if __name__ == '__main__':
  farm_on_hosts.main()
