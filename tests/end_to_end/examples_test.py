"""The other examples: the same result on every transport."""

import subprocess
import unittest

from tests.end_to_end import farms
from tests.end_to_end import processes


class ExamplesTest(processes.EndToEndTest):

  def test_pi_does_not_depend_on_the_farm(self):
    results = set()
    for transport in farms.TRANSPORTS:
      for workers in (1, 3):
        with self.subTest(transport=transport, workers=workers):
          run = farms.run_on(self, transport, 'pi', '--tasks=50', '--darts=2000', workers=workers)
          self.assertEqual(run.status, 0, run.stderr)
          results.add(run.stdout)
    self.assertEqual(len(results), 1, results)
    self.assertRegex(results.pop(), rb'\npi    3\.1\d+\n')

  def test_mandelbrot_is_the_same_picture(self):
    pictures = set()
    for transport in farms.TRANSPORTS:
      with self.subTest(transport=transport):
        path = self.path(f'{transport}.png')
        run = farms.run_on(self, transport, 'mandelbrot', f'--output={path}', '--width=300',
                           '--height=200', '--max_iterations=200')
        self.assertEqual(run.status, 0, run.stderr)
        with open(path, 'rb') as file:
          pictures.add(file.read())
    self.assertEqual(len(pictures), 1)
    self.assertTrue(pictures.pop().startswith(b'\x89PNG\r\n'))

  def test_mandelbrot_shows_its_workers(self):
    plain = self.picture()
    for mode in ('colour', 'outline'):
      self.assertNotEqual(self.picture(f'--show_workers={mode}'), plain)

  def picture(self, *flags):
    path = self.path('picture.png')
    run = self.run_to_end(processes.program('mandelbrot'), f'--output={path}', '--width=100',
                          '--height=80', *flags)
    self.assertEqual(run.status, 0, run.stderr)
    with open(path, 'rb') as file:
      return file.read()

  def test_wrong_use(self):
    for flags, text in (
        (['--width=0'], b'--width and --height must be between 1 and'),
        (['--show_workers=sound'], b'--show_workers is colour or outline'),
        (['--span=nan'], b'--span must be greater than 0'),
        (['extra'], b"unexpected argument 'extra'"),
        (['--nonsense'], b"unknown flag '--nonsense'")):
      with self.subTest(flags=flags):
        run = self.run_to_end(processes.program('mandelbrot'), *flags)
        self.assertEqual(run.status, 2)
        self.assertEqual(run.stderr.count(b'\n'), 1, run.stderr)
        self.assertIn(text, run.stderr)
        self.assertEqual(run.stdout, b'')

  def test_a_picture_that_cannot_be_written(self):
    run = self.run_to_end(processes.program('mandelbrot'), '--width=64', '--height=64',
                          '--output=/nowhere/at/all.png')
    self.assertEqual(run.status, 1)
    self.assertIn(b'/nowhere/at/all.png', run.stderr)

  def test_help(self):
    for name in ('chunk_sum', 'mandelbrot', 'pi', 'master', 'worker'):
      run = self.run_to_end(processes.program(name), '--help')
      self.assertEqual(run.status, 0)
      self.assertIn(b'--transport', run.stdout)
      self.assertEqual(run.stderr, b'')

  def test_a_closed_standard_output_is_an_error(self):
    with subprocess.Popen(['true'], stdin=subprocess.PIPE) as reader:
      reader.wait()
      run = self.start(processes.program('pi'), '--tasks=1', '--darts=10', stdout=reader.stdin)
      self.assertEqual(run.wait(), 1)
      self.assertIn(b'standard output was closed', run.stderr)


if __name__ == '__main__':
  unittest.main()
