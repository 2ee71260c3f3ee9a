#ifndef TASKFARM_BASE_MUTATION_H_
#define TASKFARM_BASE_MUTATION_H_

#include <cstdint>

namespace taskfarm {

// Bugs that the simulation must find, put into the program on purpose: tests/farm_sim/mutation_test
// turns them on one at a time, through the options of whatever has them. Nothing else ever does.
enum class Mutation : uint8_t {
  kNone,

  // The scheduler.
  kSkipAttemptCheck,  // takes a result of any attempt
  kSkipWorkerCheck,   // takes a result from any worker
  kIgnoreLease,       // never gives a silent worker up
  kForgetLostTasks,   // does not queue again what a lost worker held
  kForgetRecalled,    // does not queue again what came back
  kCountLossTwice,    // a loss counts as two crashes
  kNoCrashLimit,      // a task may crash for ever
  kLossesUseRetries,  // a loss takes a retry, as a failure does
  kRunCancelled,      // hands out again what was cancelled
  kAdoptAnyAttempt,   // lets a worker keep an attempt that is not the last
  kKeepLoser,         // lets a straggler run on when its copy was quicker

  // The master.
  kAckBeforeDurable,   // acknowledges what is not on the disk yet
  kShowBeforeDurable,  // reports what is not on the disk yet
  kDropLastResult,     // loses the last of several results in a message
  kIgnoreEpoch,        // believes what is left of a session with another master
  kIgnoreDigest,       // takes the result of a task that has changed since
  kIgnoreFullDisk,     // starts tasks while their results have nowhere to go
  kForgetTimeout,      // does not tell workers how long a task may take

  // The worker.
  kForgetUnacknowledged,  // drops results when the session ends
  kAckCoversAll,          // drops results that were sent after those acknowledged
  kNoHeartbeats,          // says nothing unless it has something to say
  kKeepOldJob,            // keeps what it has of a master that is gone for good
  kLeaveBeforeDone,       // does not wait for what runs when it is drained

  // The journal.
  kIgnoreCrc,  // believes damaged records
};

}  // namespace taskfarm

#endif  // TASKFARM_BASE_MUTATION_H_
