#ifndef TASKFARM_JOURNAL_SAMPLE_RESULTS_H_
#define TASKFARM_JOURNAL_SAMPLE_RESULTS_H_

#include <cstdint>
#include <string>

#include "journal/journalled_result.h"
#include "protocol/ids.h"

namespace taskfarm {

// The key of the i-th sample.
TaskKey SampleKey(uint64_t i);

// Results of all kinds in turn, functions and commands, with every field set; reads back equal.
JournalledResult SampleResult(uint64_t i);

// The record that holds it.
std::string SampleRecord(uint32_t seed, uint64_t number, const JournalledResult& result);

// Everything in it, to compare.
std::string Contents(const JournalledResult& result);

}  // namespace taskfarm

#endif  // TASKFARM_JOURNAL_SAMPLE_RESULTS_H_
