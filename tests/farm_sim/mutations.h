#ifndef TASKFARM_TESTS_FARM_SIM_MUTATIONS_H_
#define TASKFARM_TESTS_FARM_SIM_MUTATIONS_H_

#include "base/mutation.h"

namespace taskfarm {

struct NamedMutation {
  const char* name;
  Mutation mutation;
};

// All of them but kNone.
inline constexpr NamedMutation kMutations[] = {
    {"kSkipAttemptCheck", Mutation::kSkipAttemptCheck},
    {"kSkipWorkerCheck", Mutation::kSkipWorkerCheck},
    {"kIgnoreLease", Mutation::kIgnoreLease},
    {"kForgetLostTasks", Mutation::kForgetLostTasks},
    {"kForgetRecalled", Mutation::kForgetRecalled},
    {"kCountLossTwice", Mutation::kCountLossTwice},
    {"kNoCrashLimit", Mutation::kNoCrashLimit},
    {"kLossesUseRetries", Mutation::kLossesUseRetries},
    {"kRunCancelled", Mutation::kRunCancelled},
    {"kAdoptAnyAttempt", Mutation::kAdoptAnyAttempt},
    {"kKeepLoser", Mutation::kKeepLoser},
    {"kAckBeforeDurable", Mutation::kAckBeforeDurable},
    {"kShowBeforeDurable", Mutation::kShowBeforeDurable},
    {"kDropLastResult", Mutation::kDropLastResult},
    {"kIgnoreEpoch", Mutation::kIgnoreEpoch},
    {"kIgnoreDigest", Mutation::kIgnoreDigest},
    {"kIgnoreFullDisk", Mutation::kIgnoreFullDisk},
    {"kForgetTimeout", Mutation::kForgetTimeout},
    {"kForgetUnacknowledged", Mutation::kForgetUnacknowledged},
    {"kAckCoversAll", Mutation::kAckCoversAll},
    {"kNoHeartbeats", Mutation::kNoHeartbeats},
    {"kKeepOldJob", Mutation::kKeepOldJob},
    {"kLeaveBeforeDone", Mutation::kLeaveBeforeDone},
    {"kIgnoreCrc", Mutation::kIgnoreCrc},
};

}  // namespace taskfarm

#endif  // TASKFARM_TESTS_FARM_SIM_MUTATIONS_H_
