#include "master/task_identity.h"

#include <xxhash.h>

#include <memory>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"
#include "base/check.h"

namespace taskfarm {
namespace {

// What is hashed is unambiguous: each text goes in with its length.
class Hasher {
 public:
  explicit Hasher(absl::string_view purpose) : state_(XXH3_createState()) {
    CHECK(state_ != nullptr) << "out of memory";
    XXH3_128bits_reset(state_.get());
    Add(purpose);
  }

  void Add(uint64_t number) { Update(&number, sizeof(number)); }
  void Add(const TaskKey& key) {
    Add(key.high);
    Add(key.low);
  }
  void Add(absl::string_view text) {
    Add(uint64_t{text.size()});
    Update(text.data(), text.size());
  }
  void Add(const absl::Cord& bytes) {
    Add(uint64_t{bytes.size()});
    for (const absl::string_view chunk : bytes.Chunks()) Update(chunk.data(), chunk.size());
  }

  TaskKey Key() const {
    const XXH128_hash_t hash = XXH3_128bits_digest(state_.get());
    const TaskKey key{hash.high64, hash.low64};
    return key ? key : TaskKey{0, 1};  // zero means none
  }

 private:
  struct Free {
    void operator()(XXH3_state_t* state) const { XXH3_freeState(state); }
  };

  void Update(const void* bytes, size_t size) { XXH3_128bits_update(state_.get(), bytes, size); }

  const std::unique_ptr<XXH3_state_t, Free> state_;
};

}  // namespace

TaskIdentity TaskIdentities::Next(const TaskRequest& request) {
  TaskIdentity identity;
  identity.what = WhatOf(request);
  Hasher who("who");
  if (request.options.id.empty()) {
    who.Add(identity.what);
  } else {
    who.Add(absl::string_view(request.options.id));
  }
  identity.who = who.Key();
  if (const uint32_t before = seen_[identity.who]++; before > 0) {
    Hasher again("again");
    again.Add(identity.who);
    again.Add(uint64_t{before});
    identity.who = again.Key();
  }
  identity.both = KeyOnTheWay(identity.who, identity.what);
  return identity;
}

TaskKey KeyOnTheWay(const TaskKey& who, const TaskKey& what) {
  Hasher both("both");
  both.Add(who);
  both.Add(what);
  return both.Key();
}

TaskKey TaskIdentities::WhatOf(const TaskRequest& request) const {
  if (const auto* call = std::get_if<FunctionWork>(&request.work)) {
    Hasher what("function");
    what.Add(absl::string_view(signatures_[call->function]));
    what.Add(call->request);
    return what.Key();
  }
  const auto& command = std::get<CommandWork>(request.work);
  Hasher what("command");
  what.Add(uint64_t{command.argv.size()});
  for (const std::string& argument : command.argv) what.Add(absl::string_view(argument));
  what.Add(uint64_t{command.env.size()});
  for (const auto& [name, value] : command.env) {
    what.Add(absl::string_view(name));
    what.Add(absl::string_view(value));
  }
  what.Add(absl::string_view(command.cwd));
  what.Add(command.standard_input);
  return what.Key();
}

}  // namespace taskfarm
