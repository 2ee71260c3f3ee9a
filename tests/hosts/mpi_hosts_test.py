"""A tolerant MPI job on two hosts: rank 0 and one worker on the first, two workers on the second."""

import os
import subprocess
import time

from tests.end_to_end import processes
from tests.faults import faults
from tests.hosts import farm_on_hosts, network
from tests.mpi_faults import ranks

RANKS = 1 + farm_on_hosts.WORKERS
LEASE_S = faults.size(3, 10)
CUTS = faults.size([('all packets dropped', 5)],
                   [(how, seconds) for how in network.CUTS for seconds in (15, 60)])
SHORT_CUT_S = 2
# What mpiexec runs in place of rsh: HOST COMMAND...
LAUNCHER = '''#!/bin/sh
host=$1
shift
exec nsenter --net=/run/netns/host${host##*.} -- sh -c "$*"
'''
# A command asks its network where it is.
HERE = 'host=$(grep -o -m 1 "10[.]77[.]0[.][1-9]" /proc/self/net/fib_trie)'


class MpiHostsTest(farm_on_hosts.FarmTest):

  def start_farm(self, *flags):
    self.first, self.second = self.network.add_host(), self.network.add_host()
    launcher = self.write('launcher', LAUNCHER)
    os.chmod(launcher, 0o755)
    self.job = ranks.Job(self, *self.first.command(
        processes.runfile(ranks.LAUNCHER), '-n', str(RANKS), '-ppn', str(RANKS // 2),
        '-launcher', 'rsh', '-launcher-exec', launcher, '-iface', 'eth0',
        '-hosts', f'{self.first.address},{self.second.address}', '-genv', 'UCX_NET_DEVICES', 'eth0',
        *self.master_command(f'--slots={farm_on_hosts.SLOTS}', *flags)), stdin=subprocess.PIPE)
    self.addCleanup(self.job.kill_all)
    self.master = self.job.process

  @property
  def until_gate_of_host(self):
    """The part of a script that waits until the test opens the gate of the host it runs on."""
    return (f'{HERE}; echo $host >> {self.path("used")}; '
            f'until [ -e {self.path("gate")}$host ]; do sleep 0.05; done')

  def open_gate_of(self, host):
    self.open(f'gate{host.address}')

  def used(self, host):
    """How many tasks with such a script have begun there."""
    return self.read_lines('used').count(host.address)

  def cut_off_second(self, how):
    """A farm that runs on all slots, whose second host is parted and noticed; since when it is."""
    self.start_farm(f'--lease={LEASE_S}s')
    self.give_all_slots(self.until_gate_of_host)
    self.eventually(lambda: self.used(self.first) == farm_on_hosts.SLOTS and
                    self.used(self.second) == 2 * farm_on_hosts.SLOTS, 'tasks on both hosts')
    since = time.monotonic()
    self.second.cut(how)
    self.wait_in_time(self.master, (farm_on_hosts.LOST + rb'(?s:.)*') * 2, since, LEASE_S)
    self.open_gate_of(self.first)
    self.master.wait_for_lines(self.tasks)
    return since

  def assert_moved(self, count):
    """So many tasks have run twice, all others once."""
    moved = [task for task, starts in self.starts().items() if starts > 1]
    self.assertEqual(len(moved), count)
    self.assert_started(dict.fromkeys(moved, 2))

  def test_a_cut_shorter_than_the_lease(self):
    self.start_farm()
    self.give_all_slots(self.until_gate_of_host)
    since = time.monotonic()
    self.second.cut('all packets dropped')
    self.wait_out(since, SHORT_CUT_S)
    self.second.heal()
    self.open_gate_of(self.first)
    self.open_gate_of(self.second)
    self.end_farm()
    self.assert_started({})
    self.assertNotRegex(self.master.stderr, b'is lost')

  def test_a_cut_longer_than_the_lease(self):
    for how, seconds in CUTS:
      with self.anew(how=how, seconds=seconds):
        since = self.cut_off_second(how)
        self.wait_out(since, seconds)
        self.second.heal()
        # It comes back, and works: the tasks fill all slots.
        self.give_all_slots(f'{HERE}; echo $host >> {self.path("again")}; {self.until("last")}')
        self.open('last')
        self.end_farm()
        self.assertEqual(self.read_lines('again').count(self.second.address),
                         2 * farm_on_hosts.SLOTS)
        self.assert_moved(2 * farm_on_hosts.SLOTS)
        self.job.wait_until_nothing_is_left()

  def test_a_host_that_is_gone_for_good(self):
    self.cut_off_second('all packets dropped')
    self.end_farm()
    self.assert_moved(2 * farm_on_hosts.SLOTS)
    self.assertIn(b'not all of its hosts answer: leaving without them', self.master.stderr)

  def test_a_killed_rank(self):
    self.start_farm()
    self.give_all_slots(self.until_gate_of_host)
    self.assertEqual(self.job.kill(RANKS - 1), 1)
    self.master.wait_for(farm_on_hosts.LOST)
    self.open_gate_of(self.first)
    self.open_gate_of(self.second)
    self.end_farm()
    self.assert_moved(farm_on_hosts.SLOTS)
    self.job.wait_until_nothing_is_left()


if __name__ == '__main__':
  farm_on_hosts.main()
