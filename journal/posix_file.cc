#include "journal/posix_file.h"

#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace taskfarm {
namespace {

constexpr size_t kMaxChunks = 1024;             // what Linux takes in one call
constexpr size_t kMaxWrite = size_t{64} << 20;  // what one call is asked to do

}  // namespace

absl::Status DiskError(int error, absl::string_view verb, absl::string_view path) {
  const absl::Status status = absl::ErrnoToStatus(error, absl::StrCat("cannot ", verb, " ", path));
  const bool full = error == ENOSPC || error == EDQUOT;
  if (full) return absl::ResourceExhaustedError(status.message());
  if (absl::IsResourceExhausted(status)) return absl::UnavailableError(status.message());
  return status;
}

absl::StatusOr<size_t> WriteSome(const DiskCalls& calls, int fd, absl::string_view path,
                                 uint64_t offset, const absl::Cord& bytes) {
  CHECK(!bytes.empty());
  std::vector<iovec> chunks;
  size_t total = 0;
  for (const absl::string_view chunk : bytes.Chunks()) {
    if (chunks.size() == kMaxChunks || total == kMaxWrite) break;
    const size_t size = std::min(chunk.size(), kMaxWrite - total);
    chunks.push_back({const_cast<char*>(chunk.data()), size});
    total += size;
  }
  ssize_t written = 0;
  do {
    written = calls.pwritev(fd, chunks.data(), static_cast<int>(chunks.size()),
                            static_cast<off_t>(offset));
  } while (written < 0 && errno == EINTR);
  if (written < 0) return DiskError(errno, "write", path);
  if (written == 0) return DiskError(EIO, "write", path);
  return static_cast<size_t>(written);
}

absl::StatusOr<std::string> ReadFully(int fd, absl::string_view path, uint64_t offset,
                                      size_t size) {
  std::string bytes(size, '\0');
  size_t have = 0;
  while (have < size) {
    const ssize_t got =
        pread(fd, bytes.data() + have, size - have, static_cast<off_t>(offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return DiskError(errno, "read", path);
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  bytes.resize(have);
  return bytes;
}

}  // namespace taskfarm
