#include "base/check.h"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

namespace taskfarm {
namespace {

thread_local const CheckContext* innermost_context = nullptr;

}  // namespace

CheckContext::CheckContext(std::string line) : line_(std::move(line)), outer_(innermost_context) {
  innermost_context = this;
}

CheckContext::~CheckContext() { innermost_context = outer_; }

namespace check_internal {

Failure::Failure(const char* file, int line, const char* condition) {
  stream_ << file << ":" << line << ": CHECK failed: " << condition << " ";
}

Failure::Failure(const char* file, int line, std::unique_ptr<std::string> text)
    : Failure(file, line, text->c_str()) {}

Failure::~Failure() {
  stream_ << "\n";
  if (innermost_context != nullptr) stream_ << innermost_context->line() << "\n";
  const std::string message = stream_.str();
  std::fwrite(message.data(), 1, message.size(), stderr);
  std::fflush(stderr);
  std::abort();
}

}  // namespace check_internal
}  // namespace taskfarm
