#ifndef TASKFARM_TESTS_FUZZ_SOME_ENVELOPE_H_
#define TASKFARM_TESTS_FUZZ_SOME_ENVELOPE_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "fuzzer/FuzzedDataProvider.h"
#include "protocol/taskfarm.pb.h"
#include "transport/message.h"

namespace taskfarm {

// What a peer knows that lies near to being right: what else it says comes out of the input.
struct Surroundings {
  uint64_t epoch = 0;
  std::string run_id;                                // of a journal
  std::vector<std::pair<uint64_t, uint32_t>> tasks;  // numbers and attempts heard of
  uint64_t next_result = 1;                          // sequence of the next Result
  std::string reply;                                 // of the results
};

// A message of any kind, of either direction, mostly one that the codec takes, with more or less
// wrong numbers in it; or any bytes at all.
Message SomeMessage(FuzzedDataProvider& input, const Surroundings& surroundings);

// An envelope as bytes of a message, with no look at what it says.
Message AsMessage(protocol::Envelope envelope);

}  // namespace taskfarm

#endif  // TASKFARM_TESTS_FUZZ_SOME_ENVELOPE_H_
