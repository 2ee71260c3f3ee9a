#include "master/task_identity.h"

#include <xxhash.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <variant>

#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"
#include "base/check.h"

namespace taskfarm {
namespace {

constexpr size_t kHashedAhead = 32;

// What a hash is of is its seed, so that the same bytes in two roles do not get the same key.
enum Seed : uint64_t { kFunction = 1, kCommand, kId, kAgain, kBoth };

TaskKey KeyFrom(const XXH128_hash_t& hash) {
  const TaskKey key{hash.high64, hash.low64};
  return key ? key : TaskKey{0, 1};  // zero means none
}

TaskKey KeyOf(uint64_t seed, const void* bytes, size_t size) {
  return KeyFrom(XXH3_128bits_withSeed(bytes, size, seed));
}

// The same as of these bytes in one piece.
TaskKey KeyOf(uint64_t seed, const absl::Cord& bytes) {
  if (const auto flat = bytes.TryFlat()) return KeyOf(seed, flat->data(), flat->size());
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };
  const std::unique_ptr<XXH3_state_t, Free> state(XXH3_createState());
  CHECK(state != nullptr) << "out of memory";
  XXH3_128bits_reset_withSeed(state.get(), seed);
  for (const absl::string_view chunk : bytes.Chunks()) {
    XXH3_128bits_update(state.get(), chunk.data(), chunk.size());
  }
  return KeyFrom(XXH3_128bits_digest(state.get()));
}

// Each text goes in with its length, so that no two commands give the same bytes.
void Put(uint64_t number, std::string& bytes) {
  bytes.append(reinterpret_cast<const char*>(&number), sizeof(number));
}
void Put(absl::string_view text, std::string& bytes) {
  Put(text.size(), bytes);
  bytes.append(text.data(), text.size());
}

TaskKey KeyOfCommand(const CommandWork& command) {
  std::string bytes;
  Put(command.argv.size(), bytes);
  for (const std::string& argument : command.argv) Put(argument, bytes);
  Put(command.env.size(), bytes);
  for (const auto& [name, value] : command.env) {
    Put(name, bytes);
    Put(value, bytes);
  }
  Put(command.cwd, bytes);
  absl::Cord all(bytes);
  all.Append(command.standard_input);
  return KeyOf(kCommand, all);
}

}  // namespace

TaskIdentities::TaskIdentities(const std::vector<std::string>& signatures) {
  for (const std::string& signature : signatures) {
    function_seeds_.push_back(KeyOf(kFunction, signature.data(), signature.size()).low);
  }
}

TaskIdentity TaskIdentities::Next(const TaskRequest& request) {
  if (next_ == hashed_.size()) {
    if (coming_.empty()) coming_ = {&request, 1};
    CHECK(coming_.data() == &request) << "another task was expected";
    HashAhead();
  }
  const Hashed& hashed = hashed_[next_++];
  TaskIdentity identity{hashed.who, hashed.what, {}};
  if (!seen_.insert(identity.who).second) {
    const uint64_t again[] = {identity.who.high, identity.who.low, ++seen_again_[identity.who]};
    identity.who = KeyOf(kAgain, again, sizeof(again));
  }
  identity.both = KeyOnTheWay(identity.who, identity.what);
  return identity;
}

void TaskIdentities::HashAhead() {
  hashed_.clear();
  next_ = 0;
  const size_t count = std::min(kHashedAhead, coming_.size());
  for (const TaskRequest& request : coming_.first(count)) {
    Hashed& hashed = hashed_.emplace_back();
    hashed.what = WhatOf(request);
    const std::string& id = request.options.id;
    hashed.who = id.empty() ? hashed.what : KeyOf(kId, id.data(), id.size());
    seen_.prefetch(hashed.who);
  }
  coming_.remove_prefix(count);
}

TaskKey KeyOnTheWay(const TaskKey& who, const TaskKey& what) {
  const uint64_t both[] = {who.high, who.low, what.high, what.low};
  return KeyOf(kBoth, both, sizeof(both));
}

TaskKey TaskIdentities::WhatOf(const TaskRequest& request) const {
  if (const auto* call = std::get_if<FunctionWork>(&request.work)) {
    return KeyOf(function_seeds_[call->function], call->request);
  }
  return KeyOfCommand(std::get<CommandWork>(request.work));
}

}  // namespace taskfarm
