#include "commands/task_json.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "commands/printable.h"
#include "nlohmann/json.hpp"

namespace taskfarm {
namespace {

constexpr int64_t kMaxRetries = 1'000'000;
// Longer than anybody waits, short enough for 64 bits of nanoseconds.
constexpr absl::Duration kLongestTimeout = absl::Hours(24 * 365 * 100);

std::string Quoted(absl::string_view text) {
  return absl::StrCat("\"", Printable(text.substr(0, 100)), "\"");
}

bool HasNul(absl::string_view text) { return text.find('\0') != absl::string_view::npos; }

// nlohmann's message says "[json.exception...] parse error at line 1, column 5: what is wrong", or
// what is wrong right after the bracket.
std::string SyntaxError(absl::string_view message, size_t byte) {
  for (absl::string_view mark : {"] ", ", column ", ": "}) {
    const size_t place = message.find(mark);
    if (place == absl::string_view::npos) break;
    message.remove_prefix(place + mark.size());
  }
  return absl::StrCat("not a JSON object: at byte ", byte, ": ", Printable(message.substr(0, 300)));
}

// Builds the task while nlohmann's parser walks through the line, so that nothing is kept that has
// no place in a task, however deeply it is nested. Each method returns whether to go on.
class TaskBuilder : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit TaskBuilder(CommandTask& task) : task_(task) {}

  // After parsing.
  absl::Status Finish() {
    if (!error_.empty()) return absl::InvalidArgumentError(error_);
    if (Has("argv") && Has("shell")) {
      return absl::InvalidArgumentError("both \"argv\" and \"shell\": a task has one of them");
    }
    if (!Has("argv") && !Has("shell")) {
      return absl::InvalidArgumentError("neither \"argv\" nor \"shell\": nothing to run");
    }
    if (task_.work.argv.empty()) return absl::InvalidArgumentError("\"argv\" is empty");
    return absl::OkStatus();
  }

  bool null() override { return WrongType("null"); }
  bool boolean(bool) override { return WrongType("a boolean"); }
  bool binary(binary_t&) override { return WrongType("binary data"); }

  bool number_integer(number_integer_t value) override { return Integer(value); }
  bool number_unsigned(number_unsigned_t value) override {
    constexpr uint64_t kMax = std::numeric_limits<int64_t>::max();
    return Integer(static_cast<int64_t>(std::min<uint64_t>(value, kMax)));
  }
  bool number_float(number_float_t value, const string_t&) override {
    if (place_ == Place::kTask && key_ == "timeout") return Timeout(absl::Seconds(value));
    return WrongType("a number with a fraction");
  }

  bool string(string_t& value) override {
    if (place_ == Place::kTask && key_ == "timeout") return TimeoutText(value);
    if (place_ == Place::kTask && key_ == "stdin") {
      task_.work.standard_input = absl::Cord(std::move(value));
      return true;
    }
    if (HasNul(value)) return Fail(Where(), " has a NUL character");
    if (place_ == Place::kArgv) {
      task_.work.argv.push_back(std::move(value));
    } else if (place_ == Place::kEnv) {
      task_.work.env.emplace_back(variable_, std::move(value));
    } else if (place_ == Place::kTask && key_ == "id") {
      return Id(std::move(value));
    } else if (place_ == Place::kTask && key_ == "shell") {
      SetShellCommand(value, task_);
    } else if (place_ == Place::kTask && key_ == "cwd") {
      if (value.empty()) return Fail("\"cwd\" is empty");
      task_.work.cwd = std::move(value);
    } else {
      return WrongType("a string");
    }
    return true;
  }

  bool start_object(std::size_t) override {
    if (place_ == Place::kOutside) {
      place_ = Place::kTask;
    } else if (place_ == Place::kTask && key_ == "env") {
      place_ = Place::kEnv;
    } else {
      return WrongType("an object");
    }
    return true;
  }

  bool key(string_t& key) override {
    if (place_ == Place::kEnv) {
      if (key.empty() || HasNul(key) || key.find('=') != std::string::npos) {
        return Fail("\"env\": ", Quoted(key), " cannot be the name of a variable");
      }
      if (!variables_.insert(key).second) {
        return Fail("\"env\": ", Quoted(key), " is given twice");
      }
      variable_ = std::move(key);
      return true;
    }
    if (!IsKey(key)) return Fail("unknown key ", Quoted(key));
    if (!seen_.insert(key).second) return Fail(Quoted(key), " is given twice");
    key_ = std::move(key);
    return true;
  }

  bool end_object() override {
    place_ = place_ == Place::kEnv ? Place::kTask : Place::kOutside;
    return true;
  }

  bool start_array(std::size_t) override {
    if (place_ != Place::kTask || key_ != "argv") return WrongType("an array");
    place_ = Place::kArgv;
    return true;
  }

  bool end_array() override {
    place_ = Place::kTask;
    return true;
  }

  bool parse_error(std::size_t byte, const std::string&,
                   const nlohmann::detail::exception& error) override {
    return Fail(SyntaxError(error.what(), byte));
  }

 private:
  enum class Place { kOutside, kTask, kArgv, kEnv };

  static bool IsKey(absl::string_view key) {
    for (absl::string_view known :
         {"id", "argv", "shell", "stdin", "env", "cwd", "timeout", "priority", "retries"}) {
      if (key == known) return true;
    }
    return false;
  }

  bool Has(absl::string_view key) const { return seen_.contains(key); }

  template <typename... Pieces>
  bool Fail(const Pieces&... pieces) {
    error_ = absl::StrCat(pieces...);
    return false;
  }

  std::string Where() const {
    switch (place_) {
      case Place::kOutside:
        return "the line";
      case Place::kTask:
        return Quoted(key_);
      case Place::kArgv:
        return "an element of \"argv\"";
      case Place::kEnv:
        return absl::StrCat("\"env\": ", Quoted(variable_));
    }
    return "";
  }

  bool WrongType(absl::string_view found) {
    return Fail(Where(), " must be ", Wanted(), ", not ", found);
  }

  absl::string_view Wanted() const {
    if (place_ == Place::kOutside) return "a JSON object";
    if (place_ == Place::kArgv || place_ == Place::kEnv) return "a string";
    if (key_ == "argv") return "an array of strings";
    if (key_ == "env") return "an object of strings";
    if (key_ == "timeout") return "seconds or a string like \"1m30s\"";
    if (key_ == "priority" || key_ == "retries") return "a whole number";
    return "a string";
  }

  bool Integer(int64_t value) {
    if (place_ == Place::kTask && key_ == "timeout") return Timeout(absl::Seconds(value));
    if (place_ == Place::kTask && key_ == "priority") {
      if (value != static_cast<int32_t>(value)) {
        return Fail("\"priority\" must have at most 32 bits");
      }
      task_.options.priority = static_cast<int32_t>(value);
      return true;
    }
    if (place_ == Place::kTask && key_ == "retries") {
      if (value < 0 || value > kMaxRetries) {
        return Fail("\"retries\" must be from 0 to ", kMaxRetries);
      }
      task_.options.retries = static_cast<uint32_t>(value);
      return true;
    }
    return WrongType("a number");
  }

  bool TimeoutText(absl::string_view text) {
    absl::Duration timeout;
    if (!absl::ParseDuration(text, &timeout)) {
      return Fail("\"timeout\" must be ", Wanted(), ", not ", Quoted(text));
    }
    return Timeout(timeout);
  }

  bool Timeout(absl::Duration timeout) {
    if (timeout <= absl::ZeroDuration()) return Fail("\"timeout\" must be more than 0");
    task_.options.timeout = timeout < kLongestTimeout ? timeout : absl::InfiniteDuration();
    return true;
  }

  bool Id(std::string value) {
    if (value.empty() || value.size() > kMaxTaskIdBytes) {
      return Fail("\"id\" must have 1 to ", kMaxTaskIdBytes, " bytes");
    }
    for (char c : value) {
      if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) {
        return Fail("\"id\" has a control character");
      }
    }
    task_.id = std::move(value);
    return true;
  }

  CommandTask& task_;
  Place place_ = Place::kOutside;
  std::string key_;                             // of the task
  std::string variable_;                        // of env
  absl::flat_hash_set<std::string> seen_;       // keys of the task
  absl::flat_hash_set<std::string> variables_;  // keys of env
  std::string error_;
};

}  // namespace

absl::StatusOr<CommandTask> ParseTaskJson(absl::string_view line, const CommandTask& defaults) {
  CommandTask task = defaults;
  TaskBuilder builder(task);
  nlohmann::json::sax_parse(line.begin(), line.end(), &builder);
  if (absl::Status bad = builder.Finish(); !bad.ok()) return bad;
  return task;
}

}  // namespace taskfarm
