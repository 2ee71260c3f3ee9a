// Any text as a key file: what is taken has the form of its kind and is written the same again, and
// what is refused is refused in one line that tells nothing of what it held.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "keys/key_file.h"
#include "keys/key_pair.h"

namespace taskfarm {
namespace {

constexpr size_t kKeyTextBytes = 40;

void CheckKey(absl::string_view text) {
  CHECK_EQ(text.size(), kKeyTextBytes);
  CHECK(IsKeyText(text));
}

void CheckFound(const KeyFile& file) {
  const bool is_master = file.kind == KeyFileKind::kMaster;
  const bool is_worker = file.kind == KeyFileKind::kWorker;
  CHECK(is_master ? file.name.empty() : IsIdentityName(file.name));
  CHECK(!absl::StrContains(file.name, '/') && !absl::StartsWith(file.name, "."));
  CheckKey(file.pair.public_key);
  CHECK_EQ(file.pair.secret_key.empty(), !is_master && !is_worker);
  if (is_master || is_worker) CheckKey(file.pair.secret_key);
  CHECK_EQ(file.master_public_key.empty(), !is_worker);
  if (is_worker) CheckKey(file.master_public_key);

  const std::string text = FormatKeyFile(file);
  CHECK_LE(text.size(), kMaxKeyFileBytes);
  const absl::StatusOr<KeyFile> again = ParseKeyFile(text);
  CHECK_OK(again);
  CHECK(again->kind == file.kind && again->name == file.name);
  CHECK(again->pair.public_key == file.pair.public_key);
  CHECK(again->pair.secret_key == file.pair.secret_key);
  CHECK(again->master_public_key == file.master_public_key);
  CHECK(!ParseKeyFile(absl::string_view(text).substr(0, text.size() - 1)).ok());
}

void Run(absl::string_view text) {
  // In memory of its own size, so that nothing behind it can be read.
  const auto copy = std::make_unique<char[]>(text.size());
  text.copy(copy.get(), text.size());
  const absl::StatusOr<KeyFile> file =
      ParseKeyFile(absl::string_view(copy.get(), text.size()), "the_file");
  if (file.ok()) return CheckFound(*file);
  CHECK(absl::IsInvalidArgument(file.status())) << file.status();
  const absl::string_view message = file.status().message();
  CHECK(absl::StartsWith(message, "the_file:")) << file.status();
  for (const char c : message) CHECK(c >= ' ' && c <= '~') << file.status();
}

}  // namespace
}  // namespace taskfarm

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  taskfarm::Run(absl::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
