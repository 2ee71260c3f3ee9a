#include "worker/isolated/call_frame.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <new>
#include <utility>

#include "absl/strings/string_view.h"

namespace taskfarm {
namespace {

constexpr size_t kBufferBytes = size_t{16} << 10;
constexpr size_t kMaxPieces = 64;  // in one system call

}  // namespace

FrameWriter::FrameWriter(const FrameHeader& header, const absl::Cord& payload)
    : header_(header), chunk_(payload.chunk_begin()), end_(payload.chunk_end()) {
  header_.payload_bytes = payload.size();
}

Transfer FrameWriter::Write(int socket, int flags) {
  while (header_written_ < sizeof(header_) || chunk_ != end_) {
    iovec pieces[kMaxPieces];
    size_t count = 0;
    if (header_written_ < sizeof(header_)) {
      pieces[count++] = {reinterpret_cast<char*>(&header_) + header_written_,
                         sizeof(header_) - header_written_};
    }
    size_t skip = chunk_written_;
    for (auto chunk = chunk_; chunk != end_ && count < kMaxPieces; ++chunk, skip = 0) {
      // iovec's type: sending does not write to them.
      pieces[count++] = {const_cast<char*>(chunk->data()) + skip, chunk->size() - skip};
    }
    msghdr message = {};
    message.msg_iov = pieces;
    message.msg_iovlen = count;
    const ssize_t sent = sendmsg(socket, &message, flags | MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EINTR) continue;
      return errno == EAGAIN ? Transfer::kBlocked : Transfer::kBroken;
    }
    Advance(static_cast<size_t>(sent));
  }
  return Transfer::kDone;
}

void FrameWriter::Advance(size_t bytes) {
  const size_t of_header = std::min(bytes, sizeof(header_) - header_written_);
  header_written_ += of_header;
  bytes -= of_header;
  while (bytes > 0) {
    const size_t of_chunk = std::min(bytes, chunk_->size() - chunk_written_);
    chunk_written_ += of_chunk;
    bytes -= of_chunk;
    if (chunk_written_ == chunk_->size()) {
      ++chunk_;
      chunk_written_ = 0;
    }
  }
}

FrameReader::FrameReader() : buffer_(new char[kBufferBytes]) {}

Transfer FrameReader::Read(int socket, int flags) {
  for (;;) {
    const size_t payload_read = read_ - std::min(read_, sizeof(header_));
    char* const place = large_ != nullptr ? large_.get() + payload_read : buffer_.get() + read_;
    const size_t room =
        large_ != nullptr ? header_.payload_bytes - payload_read : kBufferBytes - read_;
    const ssize_t received = recv(socket, place, room, flags);
    if (received < 0 && errno == EINTR) continue;
    if (received < 0 && errno == EAGAIN) return Transfer::kBlocked;
    if (received <= 0) return Transfer::kBroken;
    const bool had_header = read_ >= sizeof(header_);
    read_ += static_cast<size_t>(received);
    if (read_ < sizeof(header_)) continue;
    if (!had_header && Begin() == Transfer::kBroken) return Transfer::kBroken;
    const size_t whole = sizeof(header_) + header_.payload_bytes;
    if (read_ == whole) return Transfer::kDone;
    if (read_ > whole) return Transfer::kBroken;
  }
}

Transfer FrameReader::ReadSoon(int socket) {
  constexpr int kLooks = 20;  // some 10 us
  Transfer read = Read(socket, MSG_DONTWAIT);
  for (int look = 1; look < kLooks && read == Transfer::kBlocked; ++look) {
    sched_yield();
    read = Read(socket, MSG_DONTWAIT);
  }
  return read;
}

Transfer FrameReader::Begin() {
  memcpy(&header_, buffer_.get(), sizeof(header_));
  if (header_.payload_bytes > kMaxFramePayloadBytes) return Transfer::kBroken;
  if (sizeof(header_) + header_.payload_bytes <= kBufferBytes) return Transfer::kDone;
  // Not filled with zeros first.
  large_.reset(new (std::nothrow) char[header_.payload_bytes]);
  if (large_ == nullptr) return Transfer::kBroken;
  memcpy(large_.get(), buffer_.get() + sizeof(header_), read_ - sizeof(header_));
  return Transfer::kDone;
}

absl::Cord FrameReader::TakePayload() {
  read_ = 0;
  if (large_ == nullptr) {
    return absl::Cord(absl::string_view(buffer_.get() + sizeof(header_), header_.payload_bytes));
  }
  const absl::string_view bytes(large_.get(), header_.payload_bytes);
  return absl::MakeCordFromExternal(bytes, [owned = std::move(large_)] {});
}

}  // namespace taskfarm
