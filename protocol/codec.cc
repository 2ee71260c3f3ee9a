#include "protocol/codec.h"

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/check.h"
#include "protocol/envelope_check.h"
#include "protocol/text.h"
#include "protocol/wire_scan.h"

namespace taskfarm {
namespace {

void MakePresentable(protocol::Envelope& envelope) {
  if (envelope.has_hello()) {
    std::string& hostname = *envelope.mutable_hello()->mutable_hostname();
    hostname = OneLine(hostname, kMaxNameBytes);
  } else if (envelope.has_reject()) {
    std::string& text = *envelope.mutable_reject()->mutable_text();
    text = OneLine(text, kMaxTextBytes);
  } else if (envelope.has_goodbye()) {
    std::string& reason = *envelope.mutable_goodbye()->mutable_reason();
    reason = OneLine(reason, kMaxTextBytes);
  }
}

}  // namespace

Message EncodeEnvelope(protocol::Envelope& envelope, Message&& payloads) {
  envelope.set_version(kProtocolVersion);
  if (envelope.has_hello() || envelope.has_reject()) envelope.set_epoch(0);
  MakePresentable(envelope);
  // A cord takes over a string as one flat piece, without a copy unless it is tiny.
  std::string bytes = envelope.SerializeAsString();
  CHECK_LE(bytes.size(), kMaxEnvelopeBytes);
  Message message = std::move(payloads);
  if (message.parts.empty()) message.parts.emplace_back();
  CHECK_LE(message.parts.size(), kMaxParts);
  message.parts[0] = absl::Cord(std::move(bytes));
  return message;
}

absl::StatusOr<protocol::Envelope*> DecodeEnvelope(const Message& message,
                                                   google::protobuf::Arena& arena) {
  if (message.parts.empty() || message.parts.size() > kMaxParts) {
    return absl::InvalidArgumentError(
        absl::StrCat("a message of ", message.parts.size(), " parts, not 1 to ", kMaxParts));
  }
  if (message.parts[0].size() > kMaxEnvelopeBytes) {
    return absl::InvalidArgumentError(absl::StrCat("part 0 has ", message.parts[0].size(),
                                                   " bytes, more than ", kMaxEnvelopeBytes));
  }
  absl::Cord part = message.parts[0];  // shares the bytes; a copy only where they are in pieces
  const absl::string_view bytes = part.Flatten();
  if (absl::Status bad = ScanEnvelope(bytes); !bad.ok()) return bad;
  auto* envelope = google::protobuf::Arena::CreateMessage<protocol::Envelope>(&arena);
  if (!envelope->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::InvalidArgumentError("part 0 is not an envelope: malformed");
  }
  if (absl::Status bad = CheckEnvelope(*envelope, message.parts.size()); !bad.ok()) return bad;
  return envelope;
}

}  // namespace taskfarm
