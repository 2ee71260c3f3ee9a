#include "transport/zmq/allow_list.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace taskfarm::zmq_backend {
namespace {

class KeyringAllowList final : public AllowList {
 public:
  KeyringAllowList(std::unique_ptr<MasterKeys> keys, std::function<void(absl::string_view)> log)
      : keys_(std::move(keys)), log_(std::move(log)) {}

  std::optional<std::string> IdentityOf(absl::string_view public_key) override {
    return keys_->IdentityOf(public_key);
  }

  bool Refresh() override {
    const absl::StatusOr<bool> changed = keys_->Refresh();
    std::vector<std::string> problems = keys_->problems();
    if (!changed.ok()) problems.emplace_back(changed.status().message());
    if (problems != said_ && log_) {
      for (const std::string& problem : problems) log_(problem);
    }
    said_ = std::move(problems);
    return changed.ok() && *changed;
  }

 private:
  const std::unique_ptr<MasterKeys> keys_;
  const std::function<void(absl::string_view)> log_;
  std::vector<std::string> said_;
};

}  // namespace

std::unique_ptr<AllowList> NewKeyringAllowList(std::unique_ptr<MasterKeys> keys,
                                               std::function<void(absl::string_view)> log) {
  return std::make_unique<KeyringAllowList>(std::move(keys), std::move(log));
}

}  // namespace taskfarm::zmq_backend
