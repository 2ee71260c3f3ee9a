#include "worker/registry.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/check.h"
#include "xxhash.h"

namespace taskfarm {
namespace {

constexpr size_t kMaxListed = 50;  // names in an error

bool NameIsLess(const RegisteredFunction& function, absl::string_view name) {
  return function.name < name;
}

// The length first, so that no two lists of texts give the same bytes.
void AppendText(absl::string_view text, std::string& bytes) {
  absl::StrAppend(&bytes, text.size(), ":", text);
}

}  // namespace

absl::Status Registry::Add(RegisteredFunction function) {
  CHECK(!looked_up_.load()) << "function '" << function.name << "' comes after the first look-up";
  if (function.name.empty()) return absl::InvalidArgumentError("a task function has no name");
  if (!function.run) {
    return absl::InvalidArgumentError(
        absl::StrCat("task function '", function.name, "' has nothing to run"));
  }
  const auto place = std::lower_bound(functions_.begin(), functions_.end(),
                                      absl::string_view(function.name), NameIsLess);
  if (place != functions_.end() && place->name == function.name) {
    return absl::AlreadyExistsError(
        absl::StrCat("task function '", function.name, "' is registered twice"));
  }
  functions_.insert(place, std::move(function));
  return absl::OkStatus();
}

absl::StatusOr<uint32_t> Registry::Find(absl::string_view name) const {
  looked_up_.store(true);
  const auto place = std::lower_bound(functions_.begin(), functions_.end(), name, NameIsLess);
  if (place != functions_.end() && place->name == name) {
    return static_cast<uint32_t>(place - functions_.begin());
  }
  if (functions_.empty()) {
    return absl::NotFoundError(
        absl::StrCat("no task function '", name, "': this program has registered none"));
  }
  const size_t listed = std::min(functions_.size(), kMaxListed);
  return absl::NotFoundError(absl::StrCat(
      "no task function '", name, "'; this program has ",
      absl::StrJoin(functions_.begin(), functions_.begin() + listed, ", ",
                    [](std::string* out, const RegisteredFunction& function) {
                      absl::StrAppend(out, function.name);
                    }),
      listed < functions_.size() ? absl::StrCat(" and ", functions_.size() - listed, " more")
                                 : ""));
}

const std::vector<RegisteredFunction>& Registry::functions() const {
  looked_up_.store(true);
  return functions_;
}

std::vector<std::string> Registry::Signatures() const {
  looked_up_.store(true);
  std::vector<std::string> signatures;
  signatures.reserve(functions_.size());
  for (const RegisteredFunction& function : functions_) signatures.push_back(function.signature);
  return signatures;
}

std::string Registry::Digest() const {
  looked_up_.store(true);
  std::string bytes;
  for (const RegisteredFunction& function : functions_) {
    AppendText(function.signature, bytes);
    AppendText(function.definition, bytes);
  }
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return absl::StrFormat("%016x%016x", hash.high64, hash.low64);
}

}  // namespace taskfarm
