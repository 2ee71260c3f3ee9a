"""The same program on each kind of farm."""

from tests.end_to_end import processes


def run_on(test, transport, name, *flags, workers=3, worker_flag=True):
  """Runs program `name` as a master on `transport` with so many workers; the ended master.

  transport: 'inproc', 'mpi', 'zmq' (loopback TCP) or 'zmq+ipc'.
  worker_flag: its workers are the same program with --worker, else //worker:worker_zmq.
  """
  program = processes.program(name)
  if transport == 'inproc':
    return test.run_to_end(program, f'--workers={workers}', *flags)
  if transport == 'mpi':
    return test.run_to_end(*processes.mpiexec(workers + 1, program, *flags))
  url = 'zmq://127.0.0.1:0' if transport == 'zmq' else f'zmq+ipc://{test.path("farm.sock")}'
  master = test.start_zmq_master(program, f'--min_workers={workers}', *flags, url=url)
  command = [program, '--worker'] if worker_flag else [processes.program('worker_zmq')]
  ends = [test.start(*command, f'--transport={master.url}') for _ in range(workers)]
  master.status = master.wait()
  for worker in ends:
    test.assert_ok(worker)
  return master


TRANSPORTS = ('inproc', 'mpi', 'zmq', 'zmq+ipc')
