#ifndef TASKFARM_FARM_FARM_H_
#define TASKFARM_FARM_FARM_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "farm/security_flags.h"
#include "farm/worker_runner.h"
#include "journal/journal.h"
#include "master/task_inbox.h"
#include "protocol/task.h"
#include "transport/inproc/inproc_network.h"
#include "transport/open_transport.h"
#include "worker/commands/command_runner.h"
#include "worker/registry.h"
#include "worker/worker.h"

namespace taskfarm {

struct FarmOptions {
  std::string url = "inproc:";               // or several of a master, with commas
  Role role = Role::kMaster;                 // mpi: ignored, the rank decides
  int workers = 1;                           // inproc: worker threads started with the master
  uint32_t slots = 1;                        // of each worker started here
  Isolation isolation = Isolation::kThread;  // of functions, where a task does not say
  CommandOptions commands;                   // of workers started here; the host is filled in
  SecurityOptions security;                  // of connections over a network
  absl::Duration lease = absl::Seconds(10);
  absl::Duration master_patience = absl::Seconds(60);
  const Registry* registry = nullptr;          // outlives the farm
  std::vector<TransportFactory> transports;    // what the binary links beside inproc
  uint64_t epoch = 1;                          // random, so that no two masters have the same
  std::string random_run_id;                   // kRunIdBytes, for a new journal
  std::string journal;                         // directory of the master's journal; empty: none
  Durability durability = Durability::kGroup;  // of the journal
  bool repair_journal = false;
  bool speculate = false;    // a second copy of a straggler at the tail of the job
  uint32_t crash_limit = 5;  // losses of whatever runs a task before it is given up
  std::function<void(absl::string_view)> log;  // one line for a person; any thread
};

// A master with its loop (and its workers, for inproc:), or a worker with its loop, in this
// process. Puts transport, Master, Worker and SlotPool together; the rest of the program sees a
// TaskInbox or a worker to wait for.
//
// The loop has a thread of its own, which opens, uses and closes the transport, so that main stays
// with the user; a user's thread that waits for a task may turn the loop meanwhile (LoopLead).
// Threads: RequestDrain() from any; the others from the one that called Open().
class Farm {
 public:
  // Opens the transport and the journal and starts the loop. InvalidArgument, NotFound,
  // AlreadyExists, PermissionDenied or FailedPrecondition: the URL or the journal cannot be used,
  // with the reason. DataLoss: the journal is damaged.
  static absl::StatusOr<std::unique_ptr<Farm>> Open(FarmOptions options);

  // Close() if that was not called.
  ~Farm();

  Role role() const { return opened_.role; }

  // Where workers connect to; a list where there are several transports.
  const std::string& url() const { return opened_.url; }

  // Of these, where workers of other processes that are started one by one connect to.
  std::vector<std::string> addresses() const;

  // Workers that come up by themselves; 0 where that is unknown.
  int expected_workers() const { return opened_.expected_peers; }

  // Whether this is a program on MPI alone of one rank, whose only worker is in the master's
  // process.
  bool alone() const { return alone_; }

  // The master's queue of tasks. Stays usable after the farm is gone (it then refuses).
  const std::shared_ptr<TaskInbox>& queue() const { return inbox_; }

  // A worker: finish what runs, hand back the rest, leave. No effect on a master.
  void RequestDrain();

  // A worker, after Close(): see WorkerRunner.
  bool wants_restart() const { return worker_.wants_restart(); }

  // A master: ends what is left as cancelled, tells the workers that the job is over, waits for
  // the loop. A worker: waits until the master ends the job, or it was drained. Returns how the
  // loop ended. `exit_status` is what the process is going to exit with if all is well.
  absl::Status Close(int exit_status = 0);

 private:
  explicit Farm(FarmOptions options);
  void Loop();
  absl::Status OpenForLoop();
  void SayMpiMode() const;
  absl::Status OpenJournal();
  void SayWhatIsLeftOver();
  void RunMaster();
  void RunInprocWorker(WorkerRunner& runner);
  WorkerOptions MakeWorkerOptions(absl::string_view url) const;

  FarmOptions options_;
  std::shared_ptr<InprocNetwork> inproc_;
  std::vector<TransportFactory> transports_;  // inproc and options_.transports
  std::shared_ptr<TaskInbox> inbox_;

  // Written by the loop's thread before opened_done_, read by others after it.
  OpenedTransport opened_;
  absl::Status open_status_;
  bool alone_ = false;
  std::unique_ptr<Journal> journal_;  // of a master; of the loop's thread
  absl::Notification opened_done_;

  WorkerRunner worker_;       // runs in the role of a worker only
  absl::Status loop_status_;  // read after the thread is joined
  std::thread thread_;
};

}  // namespace taskfarm

#endif  // TASKFARM_FARM_FARM_H_
