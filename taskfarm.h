#ifndef TASKFARM_TASKFARM_H_
#define TASKFARM_TASKFARM_H_

// Everything a program that uses taskfarm needs. Depend on //:taskfarm (threads, ZeroMQ and MPI)
// or //:taskfarm_zmq (without MPI); README.md starts with a whole program.
//
//   TASKFARM_TASK(F)         registers absl::StatusOr<Reply> F(const Request&, TaskContext&)
//   taskfarm::Main           the program's main(): flags, transport, master or worker
//   taskfarm::Client         Submit, Map, SubmitCommand, WaitForWorkers
//   taskfarm::Future, Done   results
//   taskfarm::TaskOptions    timeout, priority, retries, isolation of a task
//   taskfarm::TaskReport     how a task went: outcome, worker, attempts, times

#include "client/client.h"        // IWYU pragma: export
#include "client/command.h"       // IWYU pragma: export
#include "client/future.h"        // IWYU pragma: export
#include "client/main.h"          // IWYU pragma: export
#include "client/map.h"           // IWYU pragma: export
#include "client/program.h"       // IWYU pragma: export
#include "worker/task_context.h"  // IWYU pragma: export

#endif  // TASKFARM_TASKFARM_H_
