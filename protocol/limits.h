#ifndef TASKFARM_PROTOCOL_LIMITS_H_
#define TASKFARM_PROTOCOL_LIMITS_H_

#include <cstddef>
#include <cstdint>

namespace taskfarm {

// Raised with every incompatible change of taskfarm.proto. Only equal versions talk.
inline constexpr uint32_t kProtocolVersion = 1;

// Every limit on what comes from outside, in one place; docs/protocol.md repeats them, and a test
// compares.

// A message. A field is a protobuf field of the envelope at any depth. A sender ends a batch (of
// tasks, results or task references) at kBatchBytes or kMaxBatch.
inline constexpr size_t kMaxEnvelopeBytes = size_t{16} << 20;  // part 0
inline constexpr size_t kMaxEnvelopeFields = size_t{1} << 18;
inline constexpr size_t kMaxParts = 1025;  // part 0 and payloads
inline constexpr size_t kMaxBatch = 4096;
inline constexpr size_t kBatchBytes = size_t{1} << 20;

// Payloads: larger ones than kInlinePayloadBytes travel as parts; kMaxInlinePayloadBytes are
// accepted in the envelope.
inline constexpr size_t kInlinePayloadBytes = 4096;
inline constexpr size_t kMaxInlinePayloadBytes = 65536;

// Strings. A worker cuts the error of a task at kErrorBytes. Arguments and environment of a
// command have at most kMaxCommandBytes together, where each string counts for
// kCommandStringBytes more than its size.
inline constexpr size_t kMaxNameBytes = 4096;   // a function, hostname, directory, variable name
inline constexpr size_t kMaxTextBytes = 65536;  // a reason or an error
inline constexpr size_t kErrorBytes = 4096;
inline constexpr size_t kMaxCommandBytes = size_t{2} << 20;
inline constexpr size_t kCommandStringBytes = 16;

// Numbers. The heartbeat is shorter than the lease.
inline constexpr size_t kMaxFunctions = 4096;
inline constexpr uint32_t kMaxSlots = 4096;
inline constexpr size_t kMaxHeldTasks = 32768;  // told in Hello
inline constexpr size_t kRunIdBytes = 16;
inline constexpr uint64_t kMaxOutputLimitBytes = uint64_t{256} << 20;  // of each of stdout, stderr
inline constexpr int64_t kMinHeartbeatNs = 1'000'000;                  // 1 ms
inline constexpr int64_t kMaxLeaseNs = 86'400'000'000'000;             // 1 day

}  // namespace taskfarm

#endif  // TASKFARM_PROTOCOL_LIMITS_H_
