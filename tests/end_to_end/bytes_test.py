"""Functions over bytes as they are: the same results on every transport."""

import unittest

from tests.end_to_end import farms
from tests.end_to_end import processes

_SIZES = (0, 1, 4095, 4096, 4097, 70_000, (1 << 20) + 3)


class BytesTest(processes.EndToEndTest):

  def test_bytes_come_through(self):
    for transport in farms.TRANSPORTS:
      with self.subTest(transport=transport):
        run = farms.run_on(self, transport, 'bytes', workers=2)
        self.assertEqual(run.status, 0, run.stderr)
        self.assertEqual(run.stdout, b'%d\n' % (3 * sum(_SIZES)))


if __name__ == '__main__':
  unittest.main()
