#include "transport/zmq/frames.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "transport/zmq/curve_options.h"
#include "transport/zmq/limits.h"

namespace taskfarm::zmq_backend {
namespace {

// What control messages may need, whatever the limit for messages is.
constexpr size_t kLeastFrameBytes = 4096;

// What CURVE adds to a frame.
constexpr size_t kCurveBytes = 33;

// A part up to this size is copied on receipt: libzmq keeps small messages inside its receive
// buffer of 8 KiB, all of which would stay allocated as long as the part does.
constexpr size_t kMaxCopiedBytes = 2048;

// A message while ZeroMQ refers to its bytes. Freed with the last reference, in whatever thread
// that happens: the I/O thread as a rule.
class Outgoing {
 public:
  Outgoing(Message&& message, std::shared_ptr<UnsentCount> unsent)
      : message_(std::move(message)), unsent_(std::move(unsent)) {
    ++*unsent_;
  }
  ~Outgoing() { --*unsent_; }

  Message& message() { return message_; }

  // A frame that refers to `bytes` of a part.
  zmq::message_t Frame(absl::string_view bytes) {
    references_.fetch_add(1, std::memory_order_relaxed);
    return zmq::message_t(const_cast<char*>(bytes.data()), bytes.size(), &ReleaseFrame, this);
  }

  void Release() {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

 private:
  static void ReleaseFrame(void*, void* outgoing) { static_cast<Outgoing*>(outgoing)->Release(); }

  std::atomic<size_t> references_{1};  // the creator's
  Message message_;
  const std::shared_ptr<UnsentCount> unsent_;
};

// Never waits. Errors as SendFrames().
absl::Status SendFrame(zmq::socket_t& socket, zmq::message_t frame, bool more) {
  const int flags = ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0);
  while (zmq_msg_send(frame.handle(), socket.handle(), flags) < 0) {
    switch (errno) {
      case EINTR:
        continue;
      case EAGAIN:
        return absl::ResourceExhaustedError("the socket's queue to this peer is full");
      case EHOSTUNREACH:
        return absl::NotFoundError("the connection to this peer is gone");
      default:
        return absl::InternalError(absl::StrCat("zmq_msg_send: ", zmq_strerror(errno)));
    }
  }
  return absl::OkStatus();
}

// One part, cut into frames. Errors as SendFrames().
absl::Status SendPart(zmq::socket_t& socket, Outgoing& outgoing, absl::Cord& part,
                      size_t slice_bytes, bool more) {
  absl::string_view bytes = part.Flatten();
  for (; bytes.size() >= slice_bytes; bytes.remove_prefix(slice_bytes)) {
    absl::Status status =
        SendFrame(socket, outgoing.Frame(bytes.substr(0, slice_bytes)), /*more=*/true);
    if (!status.ok()) return status;
  }
  return SendFrame(socket, outgoing.Frame(bytes), more);
}

// As SendFrames(); `extra_frame`: with an empty frame behind the parts.
absl::Status SendParts(zmq::socket_t& socket, std::optional<absl::string_view> routing_id,
                       Message&& message, size_t slice_bytes, bool extra_frame,
                       const std::shared_ptr<UnsentCount>& unsent) {
  if (routing_id.has_value()) {
    absl::Status status =
        SendFrame(socket, zmq::message_t(routing_id->data(), routing_id->size()), /*more=*/true);
    if (!status.ok()) return status;
  }
  const size_t parts = message.parts.size();
  auto* const outgoing = new Outgoing(std::move(message), unsent);
  absl::Status status;
  for (size_t i = 0; i < parts && status.ok(); ++i) {
    status = SendPart(socket, *outgoing, outgoing->message().parts[i], slice_bytes,
                      /*more=*/i + 1 < parts || extra_frame);
  }
  if (extra_frame && status.ok()) status = SendFrame(socket, zmq::message_t(), /*more=*/false);
  // Copied, not moved: ZeroMQ may still refer to a part.
  if (!status.ok()) message = outgoing->message();
  outgoing->Release();
  return status;
}

// ZMTP's header of a frame, and what CURVE adds.
size_t WireBytes(size_t frame_bytes, bool encrypted) {
  constexpr size_t kMaxShortFrame = 255;
  const size_t bytes = frame_bytes + (encrypted ? kCurveBytes : 0);
  return bytes + (bytes > kMaxShortFrame ? 9 : 2);
}

Origin OriginOf(zmq::message_t& frame) {
  const auto property = [&frame](const char* name) -> std::string {
    const char* const value = zmq_msg_gets(frame.handle(), name);
    return value == nullptr ? "" : value;
  };
  return {zmq_msg_get(frame.handle(), ZMQ_SRCFD), property(kIdentityProperty),
          property(kKeyProperty)};
}

absl::Cord TakePart(zmq::message_t frame) {
  const absl::string_view bytes(frame.data<char>(), frame.size());
  if (bytes.size() <= kMaxCopiedBytes) return absl::Cord(bytes);
  return absl::MakeCordFromExternal(bytes, [owner = std::move(frame)](absl::string_view) {});
}

size_t MaxBytes(const TransportOptions& options) {
  return std::max(options.max_message_bytes, kLeastFrameBytes);
}

// Adds up a message frame by frame, and forgets it as soon as it is over the limits.
class Collector {
 public:
  Collector(const TransportOptions& options, Incoming& incoming)
      : options_(options), slice_bytes_(SliceBytes(options)), incoming_(incoming) {}

  void Add(zmq::message_t frame) {
    const bool goes_on = std::exchange(goes_on_, frame.size() == slice_bytes_);
    if (!goes_on) ++parts_;
    bytes_ += frame.size();
    incoming_.wire_bytes += WireBytes(frame.size(), options_.encrypt);
    // One part more than allowed: the empty frame behind what looks like a control message.
    if (parts_ > options_.max_parts + 1 || bytes_ > MaxBytes(options_)) {
      incoming_.message.parts.clear();
      dropped_ = true;
    }
    if (dropped_) return;
    if (goes_on) {
      incoming_.message.parts.back().Append(TakePart(std::move(frame)));
    } else {
      incoming_.message.parts.push_back(TakePart(std::move(frame)));
    }
  }

  void Finish() {
    auto& parts = incoming_.message.parts;
    if (!dropped_ && LooksLikeControl(incoming_.message)) {
      if (parts_ == 1) {
        incoming_.control = ParseControl(parts[0].Flatten());
        parts.clear();
        return;
      }
      parts.pop_back();
      --parts_;
    }
    if (bytes_ > options_.max_message_bytes) {
      incoming_.status = absl::InvalidArgumentError(absl::StrCat(
          "received a message of ", bytes_, " bytes; the limit is ", options_.max_message_bytes));
    } else if (parts_ > options_.max_parts) {
      incoming_.status = absl::InvalidArgumentError(absl::StrCat(
          "received a message of ", parts_, " parts; the limit is ", options_.max_parts));
    }
    if (!incoming_.status.ok()) parts.clear();
  }

 private:
  const TransportOptions& options_;
  const size_t slice_bytes_;
  Incoming& incoming_;
  size_t parts_ = 0;
  size_t bytes_ = 0;
  bool goes_on_ = false;  // the part, in the next frame
  bool dropped_ = false;
};

}  // namespace

size_t SliceBytes(const TransportOptions& options) {
  return options.encrypt ? kSliceBytes : SIZE_MAX;
}

absl::Status SendFrames(zmq::socket_t& socket, std::optional<absl::string_view> routing_id,
                        Message&& message, size_t slice_bytes,
                        const std::shared_ptr<UnsentCount>& unsent) {
  const bool extra_frame = LooksLikeControl(message);
  return SendParts(socket, routing_id, std::move(message), slice_bytes, extra_frame, unsent);
}

absl::Status SendControl(zmq::socket_t& socket, std::optional<absl::string_view> routing_id,
                         ControlKind kind, absl::string_view text,
                         const std::shared_ptr<UnsentCount>& unsent) {
  Message message;
  message.parts.emplace_back(EncodeControl(kind, text));
  return SendParts(socket, routing_id, std::move(message), /*slice_bytes=*/SIZE_MAX,
                   /*extra_frame=*/false, unsent);
}

size_t MaxFrameBytes(const TransportOptions& options) {
  const size_t bytes = std::min(MaxBytes(options), SliceBytes(options));
  return bytes + (options.encrypt ? kCurveBytes : 0);
}

absl::StatusOr<bool> ReceiveFrame(zmq::socket_t& socket, zmq::message_t& frame) {
  while (zmq_msg_recv(frame.handle(), socket.handle(), ZMQ_DONTWAIT) < 0) {
    if (errno == EAGAIN) return false;
    if (errno != EINTR) {
      return absl::InternalError(absl::StrCat("zmq_msg_recv: ", zmq_strerror(errno)));
    }
  }
  return true;
}

absl::StatusOr<bool> ReceiveMessage(zmq::socket_t& socket, const TransportOptions& options,
                                    bool want_origin, Incoming& incoming) {
  zmq::message_t frame;
  absl::StatusOr<bool> received = ReceiveFrame(socket, frame);
  if (!received.ok() || !*received) return received;
  incoming.status = absl::OkStatus();
  incoming.control.reset();
  incoming.message.parts.clear();
  incoming.wire_bytes = 0;
  incoming.origin = want_origin ? OriginOf(frame) : Origin();
  Collector collector(options, incoming);
  while (true) {
    const bool more = frame.more();
    collector.Add(std::move(frame));
    if (!more) break;
    received = ReceiveFrame(socket, frame);
    if (!received.ok()) return received;
    CHECK(*received) << "ZeroMQ gave out a message before it had all of it";
  }
  collector.Finish();
  return true;
}

}  // namespace taskfarm::zmq_backend
