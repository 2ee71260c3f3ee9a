"""The network of these tests does what they take for granted."""

import unittest

from tests.end_to_end import processes
from tests.hosts import network

PORT = 7000
LISTEN = f'''
import socket
listener = socket.create_server(("", {PORT}))
print("listening", flush=True)
while True:
  listener.accept()[0].sendall(b"x" * 100000)
'''
# Prints how long it takes to connect, and to be sent all there is.
ASK = '''
import socket, sys, time
start = time.monotonic()
server = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=float(sys.argv[3]))
print(time.monotonic() - start, flush=True)
got = 0
while got < 100000:
  got += len(server.recv(100000))
'''


class NetworkTest(processes.EndToEndTest):

  def setUp(self):
    super().setUp()
    self.network = network.Network()
    self.addCleanup(self.network.remove)

  def listen_on(self, host):
    self.start(*host.command('/usr/bin/python3', '-c', LISTEN)).wait_for(b'listening', 'stdout')

  def ask(self, client, server, timeout_s):
    """How long it took to connect; None: it did not get through."""
    done = self.run_to_end(*client.command(
        '/usr/bin/python3', '-c', ASK, server.address, str(PORT), str(timeout_s)))
    return float(done.stdout) if done.status == 0 else None

  def test_cuts(self):
    client, server, other = (self.network.add_host() for _ in range(3))
    self.listen_on(server)
    for parted in (client, server):
      for how in network.CUTS:
        with self.subTest(how=how):
          self.assertIsNotNone(self.ask(client, server, 30))
          parted.cut(how)
          self.assertIsNone(self.ask(client, server, 0.3))
          parted.heal()
    server.cut('link down')
    client.cut('nothing goes out')
    self.assertIsNone(self.ask(other, server, 0.3))
    server.heal()
    self.assertIsNotNone(self.ask(other, server, 30))

  def test_delay(self):
    wires = [network.Wire(0.05, 0, 1), network.Wire(0.05, 0, 2)]
    client, server = map(self.network.add_host, wires)
    self.listen_on(server)
    self.assertGreaterEqual(self.ask(client, server, 30), 0.1)
    self.assertGreater(wires[1].carried, 100000 // 1500)
    self.assertEqual([wire.lost for wire in wires], [0, 0])

  def test_loss(self):
    wire = network.Wire(0, 0.2, 1)
    client, server = self.network.add_host(), self.network.add_host(wire)
    self.listen_on(server)
    self.assertIsNotNone(self.ask(client, server, 30))
    self.assertGreater(wire.lost, 0)


if __name__ == '__main__':
  network.enter()
  unittest.main()
