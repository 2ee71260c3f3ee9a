#include "keys/key_file.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace taskfarm {
namespace {

constexpr absl::string_view kVersionLine = "taskfarm-key 1";
constexpr size_t kKeyTextBytes = 40;
constexpr absl::string_view kZ85 =
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

struct KindText {
  KeyFileKind kind;
  absl::string_view text;
  absl::string_view about;
};

constexpr KindText kKinds[] = {
    {KeyFileKind::kMaster, "master",
     "# The key of a taskfarm master. Secret: who has it can pose as the master."},
    {KeyFileKind::kWorker, "worker",
     "# The key of a taskfarm worker. Secret: who has it is let in as this worker."},
    {KeyFileKind::kIdentity, "identity",
     "# Lets a worker in to a taskfarm master; `keygen --revoke NAME` removes this file."},
};

const KindText& TextOf(KeyFileKind kind) { return kKinds[static_cast<size_t>(kind)]; }

// One line `field value` of a key file, and where the value goes.
struct Field {
  absl::string_view name;
  std::string* value;
  bool (*is_valid)(absl::string_view);
};

std::vector<Field> FieldsOf(KeyFile& file) {
  const Field name = {"name", &file.name, &IsIdentityName};
  const Field public_key = {"public_key", &file.pair.public_key, &IsKeyText};
  const Field secret_key = {"secret_key", &file.pair.secret_key, &IsKeyText};
  const Field master = {"master_public_key", &file.master_public_key, &IsKeyText};
  switch (file.kind) {
    case KeyFileKind::kMaster:
      return {public_key, secret_key};
    case KeyFileKind::kWorker:
      return {name, public_key, secret_key, master};
    case KeyFileKind::kIdentity:
      return {name, public_key};
  }
  return {};
}

// The lines of a text that are not comments. Each ends in a line break: one without is cut short.
class Lines {
 public:
  Lines(absl::string_view text, absl::string_view file) : rest_(text), file_(file) {}

  // The next line; nothing at the end.
  absl::StatusOr<std::optional<absl::string_view>> Next() {
    while (!rest_.empty()) {
      ++number_;
      const size_t end = rest_.find('\n');
      if (end == absl::string_view::npos) return Wrong("the file is cut short");
      const absl::string_view line = rest_.substr(0, end);
      rest_.remove_prefix(end + 1);
      if (!absl::StartsWith(line, "#")) return line;
    }
    ++number_;
    return std::nullopt;
  }

  // The rest of the next line, which has to start with `field` and a space.
  absl::StatusOr<absl::string_view> Value(absl::string_view field) {
    absl::StatusOr<std::optional<absl::string_view>> line = Next();
    if (!line.ok()) return line.status();
    if (!line->has_value()) {
      return Wrong(absl::StrCat("the file is cut short: no line `", field, " ...`"));
    }
    absl::string_view value = **line;
    if (!absl::ConsumePrefix(&value, field) || !absl::ConsumePrefix(&value, " ")) {
      return Wrong(absl::StrCat("this should be `", field, " ...`"));
    }
    return value;
  }

  absl::Status Wrong(absl::string_view what) const {
    return absl::InvalidArgumentError(absl::StrCat(file_, ":", number_, ": ", what));
  }

 private:
  absl::string_view rest_;
  const absl::string_view file_;
  int number_ = 0;
};

}  // namespace

absl::StatusOr<KeyFile> ParseKeyFile(absl::string_view contents, absl::string_view file) {
  Lines lines(contents.substr(0, kMaxKeyFileBytes), file);
  const absl::StatusOr<std::optional<absl::string_view>> version = lines.Next();
  if (!version.ok()) return version.status();
  if (*version != kVersionLine) {
    return lines.Wrong(
        absl::StrCat("not a taskfarm key file: the first line is not `", kVersionLine, "`"));
  }
  const absl::StatusOr<absl::string_view> kind = lines.Value("kind");
  if (!kind.ok()) return kind.status();
  const auto* const known = std::find_if(std::begin(kKinds), std::end(kKinds),
                                         [&](const KindText& k) { return k.text == *kind; });
  if (known == std::end(kKinds)) {
    return lines.Wrong("the kind should be master, worker or identity");
  }
  KeyFile parsed;
  parsed.kind = known->kind;
  for (const Field& field : FieldsOf(parsed)) {
    const absl::StatusOr<absl::string_view> value = lines.Value(field.name);
    if (!value.ok()) return value.status();
    if (!field.is_valid(*value)) {
      return lines.Wrong(field.value == &parsed.name ? IdentityNameRule()
                                                     : absl::StrCat(field.name, " is not a key"));
    }
    *field.value = std::string(*value);
  }
  const absl::StatusOr<std::optional<absl::string_view>> end = lines.Next();
  if (!end.ok()) return end.status();
  if (end->has_value()) return lines.Wrong("more than a key file holds");
  return parsed;
}

std::string FormatKeyFile(const KeyFile& file) {
  KeyFile copy = file;
  const KindText& kind = TextOf(file.kind);
  std::string text;
  text.reserve(kMaxKeyFileBytes);  // never moved, so that no secret is left behind
  absl::StrAppend(&text, kVersionLine, "\n", kind.about, "\nkind ", kind.text, "\n");
  for (const Field& field : FieldsOf(copy)) {
    absl::StrAppend(&text, field.name, " ", *field.value, "\n");
  }
  return text;
}

bool IsIdentityName(absl::string_view name) {
  return !name.empty() && name.size() <= kMaxIdentityNameBytes && name[0] != '.' &&
         std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' ||
                  c == '-';
         });
}

std::string IdentityNameRule() {
  return absl::StrCat("a name has 1 to ", kMaxIdentityNameBytes,
                      " letters, digits, '.', '_' and '-', and does not start with a dot");
}

bool IsKeyText(absl::string_view text) {
  if (text.size() != kKeyTextBytes) return false;
  for (size_t group = 0; group < text.size(); group += 5) {
    uint64_t value = 0;
    for (const char c : text.substr(group, 5)) {
      const size_t digit = kZ85.find(c);
      if (digit == absl::string_view::npos) return false;
      value = value * 85 + digit;
    }
    if (value > UINT32_MAX) return false;
  }
  return true;
}

}  // namespace taskfarm
