"""The driver and what its measurements rest on. Nothing here depends on how fast anything is."""

import json
import os
import subprocess
import tempfile
import unittest

from bench import driver, measure, table

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(measure.__file__)))


def _report(**changes):
  report = {'tasks': 10, 'wall_ns': 1000, 'cpu_ns': 2000, 'checksum': 7, 'expected_checksum': 7,
            'optimized': True}
  report.update(changes)
  return report


def _drive(*flags):
  return subprocess.run([os.path.join(_ROOT, 'bench', 'bench'), *flags], capture_output=True,
                        text=True, check=False)


class ReportTest(unittest.TestCase):

  def test_a_right_one_is_taken(self):
    measure.check_report(_report(), 'probe')

  def test_a_wrong_sum_fails(self):
    with self.assertRaisesRegex(measure.MeasureError, 'probe: WRONG RESULTS'):
      measure.check_report(_report(checksum=8), 'probe')

  def test_without_a_sum_it_fails(self):
    report = _report()
    del report['expected_checksum']
    with self.assertRaisesRegex(measure.MeasureError, 'expected_checksum'):
      measure.check_report(report, 'probe')

  def test_a_build_that_is_no_release_fails(self):
    with self.assertRaisesRegex(measure.MeasureError, 'release build'):
      measure.check_report(_report(optimized=False), 'probe')
    measure.check_report(_report(optimized=False), 'probe', any_build=True)


class ContextTest(unittest.TestCase):

  def setUp(self):
    self.context = measure.Context(_ROOT, runs=2)

  def test_alternates(self):
    order = []
    runs = self.context.alternate({
        'farm': lambda: order.append('farm') or _report(tasks=len(order)),
        'raw': lambda: order.append('raw') or _report(tasks=len(order)),
    })
    self.assertEqual(order, ['farm', 'raw', 'farm', 'raw'])
    self.assertEqual(runs['raw'].spread(lambda report: report['tasks']),
                     measure.Spread(3, 2, 4))

  def test_a_program_with_wrong_results_fails(self):
    line = json.dumps(_report(checksum=8))
    with self.assertRaisesRegex(measure.MeasureError, 'WRONG RESULTS'):
      self.context.run('echo', line)

  def test_a_program_that_fails_is_told_with_its_words(self):
    with self.assertRaisesRegex(measure.MeasureError, '(?s)no luck.*exit status 3'):
      self.context.run('sh', '-c', 'echo no luck >&2; exit 3')

  def test_a_program_that_says_nothing_fails(self):
    with self.assertRaisesRegex(measure.MeasureError, 'no JSON object'):
      self.context.run('true')

  def test_nothing_of_a_program_outlives_it(self):
    measure.become_reaper()
    line = json.dumps(_report())
    # What it leaves behind has no parent and a session of its own.
    self.context.run('sh', '-c', f"(setsid sleep 1000 > /dev/null 2>&1 &); echo '{line}'")
    self.assertEqual(measure.descendants(), set())


class RowTest(unittest.TestCase):

  def _row(self, goal):
    return measure.make_row('x', measure.INPROC, 'tasks/s', measure.Spread(3e6, 2e6, 4e6),
                            measure.Spread(1e6, 1e6, 1e6), goal)

  def test_goals(self):
    self.assertTrue(self._row(measure.at_least(3e6)).reached)
    self.assertFalse(self._row(measure.at_least(4e6)).reached)
    self.assertTrue(self._row(measure.at_most(3e6)).reached)
    self.assertFalse(self._row(measure.at_most(2e6)).reached)
    self.assertTrue(self._row(measure.at_least_of_raw(3)).reached)
    self.assertFalse(self._row(measure.at_least_of_raw(3.1)).reached)
    self.assertFalse(self._row(measure.at_most_of_raw(2.9)).reached)
    self.assertIsNone(self._row(None).reached)

  def test_table(self):
    rows = [self._row(measure.at_least_of_raw(4))]
    line = table.as_text(rows).splitlines()[2]
    self.assertEqual(line.split(), ['x', 'inproc', '3', 'M', 'tasks/s', '[2', 'M', '4', 'M]',
                                    '1', 'M', '3.00', '>=', '4', 'x', 'raw', 'NO'])
    self.assertIn('| x | inproc | 3 M tasks/s [2 M 4 M] | 1 M | 3.00 | >= 4 x raw | NO |\n',
                  table.as_markdown(rows, 'head'))
    self.assertEqual(table.goals_line(rows), '0 of 1 goals reached')

  def test_numbers_have_three_digits(self):
    for value, text in ((1234567, '1.23 M'), (999600, '1 M'), (1e6, '1 M'), (950, '950'),
                        (2345, '2,345'), (9999.6, '10 k'), (123456, '123 k'), (999.7, '1,000'),
                        (0.01234, '0.0123'), (2.5e9, '2.5 G'), (0, '0')):
      self.assertEqual(measure.number(value), text)


class DriverTest(unittest.TestCase):

  def test_measures_and_writes(self):
    with tempfile.TemporaryDirectory() as folder:
      path = os.path.join(folder, 'figures.json')
      done = _drive('--quick', '--only=throughput', '--transports=inproc', '--seconds=0.02',
                    '--any_build', f'--json={path}', f'--markdown={folder}/table.md')
      self.assertEqual(done.returncode, 0, done.stderr)
      with open(path, encoding='utf-8') as file:
        figures = json.load(file)
      with open(f'{folder}/table.md', encoding='utf-8') as file:
        markdown = file.read()
    self.assertEqual(figures['failures'], [])
    self.assertEqual([row['name'] for row in figures['rows']],
                     ['throughput', 'CPU, all processes', 'with --journal; raw: without'])
    for row in figures['rows']:
      self.assertEqual(row['transport'], 'inproc')
      self.assertGreater(row['value'], 0)
      self.assertGreater(row['raw_value'], 0)
      self.assertIn(f'| {row["name"]} | inproc |', markdown)
    self.assertIn('goals reached', done.stdout)
    self.assertGreater(figures['machine']['cores'], 0)

  def test_a_group_that_fails_is_loud_and_leaves_the_others(self):
    class Broken:
      NAME = 'broken'

      @staticmethod
      def measure(context):
        return context.run('echo', json.dumps(_report(checksum=8)))

    class Sound:
      NAME = 'sound'

      @staticmethod
      def measure(context):
        return [measure.make_row('x', measure.INPROC, 's', measure.single(context.runs))]

    context = measure.Context(_ROOT)
    rows, failures = driver.measure_all(context, [Broken, Sound])
    self.assertEqual([row.name for row in rows], ['x'])
    self.assertEqual(len(failures), 1)
    self.assertRegex(failures[0], 'broken failed: .*WRONG RESULTS')

  def test_wrong_flags_are_one_line(self):
    for flag in ('--nonsense', '--only=nothing', '--runs=0', '--transports=zmq', '--seconds=-1',
                 '--chart=x.pdf', '--json=/no/such/folder/x'):
      done = _drive(flag)
      self.assertEqual(done.returncode, 2, flag)
      self.assertEqual(done.stdout, '')
      self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)

  def test_help(self):
    done = _drive('--help')
    self.assertEqual(done.returncode, 0)
    self.assertIn('throughput', done.stdout)


if __name__ == '__main__':
  unittest.main()
