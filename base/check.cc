#include "base/check.h"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

namespace taskfarm::check_internal {

Failure::Failure(const char* file, int line, const char* condition) {
  stream_ << file << ":" << line << ": CHECK failed: " << condition << " ";
}

Failure::Failure(const char* file, int line, std::unique_ptr<std::string> text)
    : Failure(file, line, text->c_str()) {}

Failure::~Failure() {
  stream_ << "\n";
  const std::string message = stream_.str();
  std::fwrite(message.data(), 1, message.size(), stderr);
  std::fflush(stderr);
  std::abort();
}

}  // namespace taskfarm::check_internal
