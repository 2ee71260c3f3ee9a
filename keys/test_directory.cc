#include "keys/test_directory.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/check.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

std::atomic<uint64_t> next_pair{1};

}  // namespace

TestDirectory::TestDirectory() : path_(absl::StrCat(testing::TempDir(), "/keys.XXXXXX")) {
  CHECK(mkdtemp(path_.data()) != nullptr);
}

TestDirectory::~TestDirectory() { std::filesystem::remove_all(path_); }

std::string TestDirectory::Path(absl::string_view name) const {
  return name.empty() ? path_ : absl::StrCat(path_, "/", name);
}

void TestDirectory::Write(absl::string_view name, absl::string_view contents, mode_t mode) const {
  std::ofstream file(Path(name), std::ios::binary | std::ios::trunc);
  file.write(contents.data(), static_cast<std::streamsize>(contents.size()));
  file.close();
  CHECK(file.good());
  SetMode(name, mode);
}

void TestDirectory::Make(absl::string_view name, mode_t mode) const {
  CHECK_EQ(mkdir(Path(name).c_str(), mode), 0);
  SetMode(name, mode);
}

void TestDirectory::Link(absl::string_view name, absl::string_view to) const {
  CHECK_EQ(symlink(std::string(to).c_str(), Path(name).c_str()), 0);
}

void TestDirectory::SetMode(absl::string_view name, mode_t mode) const {
  CHECK_EQ(chmod(Path(name).c_str(), mode), 0);
}

bool TestDirectory::SetOwner(absl::string_view name, uid_t owner) const {
  return chown(Path(name).c_str(), owner, static_cast<gid_t>(-1)) == 0;
}

void TestDirectory::Remove(absl::string_view name) const {
  CHECK(std::filesystem::remove_all(Path(name)) > 0);
}

mode_t TestDirectory::ModeOf(absl::string_view name) const {
  struct stat seen {};
  CHECK_EQ(lstat(Path(name).c_str(), &seen), 0);
  return seen.st_mode & 07777;
}

bool TestDirectory::Has(absl::string_view name) const {
  return std::filesystem::exists(std::filesystem::symlink_status(Path(name)));
}

std::string TestDirectory::Read(absl::string_view name) const {
  std::ifstream file(Path(name), std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  CHECK(file.good());
  return text.str();
}

std::vector<std::string> TestDirectory::NamesIn(absl::string_view name) const {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(Path(name))) {
    names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

KeyPair NextTestPair() {
  const uint64_t number = next_pair++;
  return {.public_key = absl::StrFormat("public%034d", number),
          .secret_key = absl::StrFormat("secret%034d", number)};
}

void StartTestPairsAt(uint64_t start) { next_pair = start; }

}  // namespace taskfarm
