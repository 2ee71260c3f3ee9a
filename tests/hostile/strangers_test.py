"""Connections of those who have no business there do nothing to a farm at work."""

import random
import socket
import struct
import threading
import unittest

from tests.hostile import hostile

SEED = 20220623


class StrangersTest(hostile.HostileTest):

  def garbage(self, source):
    """What a confused or hostile client may say first."""
    junk = source.randbytes(source.randrange(1, 2000))
    start = source.choice([b'', b'GET / HTTP/1.1\r\n\r\n', b'\x16\x03\x01', b'\xff' + bytes(8),
                           hostile.CURVE_GREETING, hostile.NULL_GREETING])
    if start.endswith(bytes(32)) and source.random() < 0.5:
      start += hostile.long_frame(source.choice([0, 200, 1 << 20, 1 << 40, (1 << 64) - 1]))
    return start + junk

  def test_ten_thousand_connections_of_garbage(self):
    source = random.Random(SEED)
    open_ones = []
    for _ in range(10_000):
      connection = self.connect(self.garbage(source))
      if source.random() < 0.3:  # hangs up rudely, by RST
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
      open_ones.append(connection)
      if len(open_ones) == 200:
        open_ones.pop(source.randrange(200)).close()
    for connection in open_ones:
      self.assert_hung_up(connection)
    self.assert_nothing_happened()

  def test_a_thousand_half_open_connections(self):
    greetings = [b'', b'\xff', hostile.CURVE_GREETING[:30], hostile.CURVE_GREETING]
    connections = [self.connect(greetings[i % 4]) for i in range(1000)]
    newcomer = self.start_worker()  # while they are there
    for connection in connections:
      self.assert_hung_up(connection)
    self.takes_in(newcomer)
    self.assert_nothing_happened()

  def test_trickling_connections(self):
    # Each says a byte now and then, so that it never is quite silent.
    connections = [self.connect(hostile.CURVE_GREETING) for _ in range(100)]
    stop = threading.Event()

    def trickle():
      while not stop.wait(0.1):
        for connection in connections:
          self.say(connection, b'\x04')

    thread = threading.Thread(target=trickle)
    thread.start()
    for connection in connections:
      self.assert_hung_up(connection)
    stop.set()
    thread.join()
    self.assert_nothing_happened()

  def test_frames_without_end(self):
    # Before anybody knows who they are, connections push as much as is taken of them.
    for size in (1 << 20, 1 << 28, 1 << 62):
      for command in (True, False):
        connections = [self.connect(hostile.CURVE_GREETING + hostile.long_frame(size, command))
                       for _ in range(20)]
        for connection in connections:
          pushed = 0
          while pushed < 64 << 20 and self.say(connection, bytes(1 << 16)):
            pushed += 1 << 16
          self.assert_hung_up(connection)
    self.assert_nothing_happened()

  def test_keys_that_are_not_on_the_list(self):
    self.assertEqual(self.stranger(f'--master_key={self.master_key()}', '--connections=300'),
                     {'refused': 300})
    self.assert_nothing_happened()

  def test_clients_of_another_master(self):
    self.assertEqual(self.stranger(f'--keys={self.path(".taskfarm")}', '--wrong_master',
                                   '--connections=300'),
                     {'hung up': 300})
    self.assert_nothing_happened()

  def test_clients_without_encryption(self):
    self.assertEqual(self.stranger('--plain', '--connections=300'), {'hung up': 300})
    self.assert_nothing_happened()

  def test_a_stolen_key_that_speaks_another_language(self):
    keys = f'--keys={self.path(".taskfarm")}'
    for flags in (
        ['--frames=1', '--frame_bytes=100'],
        ['--frames=1', f'--frame_bytes={(1 << 30) + (1 << 20)}'],
        ['--frames=10000', '--frame_bytes=10'],
        ['--frames=64', f'--frame_bytes={1 << 20}'],
    ):
      with self.subTest(flags=flags):
        self.assertEqual(self.stranger(keys, *flags), {'let in': 1, 'closed': 1})
    self.assert_nothing_happened()


class FewDescriptorsTest(hostile.HostileTest):
  """A master that may have few descriptors, and strangers that take them all."""

  descriptor_limit = 300

  def test_more_connections_than_descriptors(self):
    for _ in range(3):
      connections = [self.connect() for _ in range(400)]
      for connection in connections:
        self.assert_hung_up(connection)
    self.takes_in(self.start_worker())
    self.assert_nothing_happened()


if __name__ == '__main__':
  unittest.main()
