"""Hosts that are 100 ms of round trip apart, on links that lose one frame of a hundred."""

from tests.faults import faults
from tests.hosts import farm_on_hosts, network

DELAY_S = 0.05
LOSS = 0.01
TASKS = faults.size(300, 5000)
# So that all sizes of messages come to see a loss.
OUTPUT_BYTES = faults.size(20_000, 50_000)


class SlowNetworkTest(farm_on_hosts.ZmqHostsTest):

  def test_nothing_is_lost(self):
    wires = []

    def wire():
      wires.append(network.Wire(DELAY_S, LOSS, self.random.getrandbits(32)))
      return wires[-1]

    self.start_farm(wire=wire)
    noise = f'head -c {OUTPUT_BYTES} /dev/zero | tr "\\0" x >&2'
    self.give(TASKS, noise)
    results = self.end_farm()
    self.assert_started({})
    for line in results.values():
      self.assertEqual(len(line['stderr']), OUTPUT_BYTES)
    self.assertTrue(self.master.stderr.endswith(b'; 3 workers\n'), self.master.stderr[-200:])
    for laid in wires:
      self.assertGreater(laid.lost, 0, 'this link has not lost anything')
    self.assertEqual({line['worker'] for line in results.values()},
                     set(map(self.number_of, self.workers)))


if __name__ == '__main__':
  farm_on_hosts.main()
