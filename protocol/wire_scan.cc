#include "protocol/wire_scan.h"

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "google/protobuf/descriptor.h"
#include "protocol/limits.h"
#include "protocol/taskfarm.pb.h"

namespace taskfarm {
namespace {

enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kLengthDelimited = 2, kFixed32 = 5 };

// Which fields of a message type hold messages, by field number; null: holds none, or unknown.
struct Shape {
  std::array<const Shape*, 16> messages{};
};

// Builds one for each place a type is used in: there are few, and no type contains itself.
const Shape* NewShape(const google::protobuf::Descriptor& type) {
  auto* shape = new Shape();
  for (int i = 0; i < type.field_count(); ++i) {
    const google::protobuf::FieldDescriptor& field = *type.field(i);
    if (field.message_type() == nullptr) continue;
    CHECK_LT(field.number(), shape->messages.size()) << field.full_name();
    shape->messages[field.number()] = NewShape(*field.message_type());
  }
  return shape;
}

// Fields one by one.
class Reader {
 public:
  explicit Reader(absl::string_view bytes) : next_(bytes.data()), end_(next_ + bytes.size()) {}

  bool done() const { return next_ == end_; }
  uint64_t number() const { return number_; }
  uint64_t varint() const { return varint_; }               // the value of a varint field, else 0
  absl::string_view contents() const { return contents_; }  // of a length-delimited field

  // Reads one field; false if there is none whole.
  bool Read() {
    uint64_t tag;
    uint64_t length;
    if (!ReadVarint(tag)) return false;
    number_ = tag >> 3;
    varint_ = 0;
    contents_ = absl::string_view();
    switch (tag & 7) {
      case kVarint:
        return ReadVarint(varint_);
      case kFixed64:
        return Skip(8);
      case kFixed32:
        return Skip(4);
      case kLengthDelimited:
        return ReadVarint(length) && ReadContents(length);
      default:  // groups, which the protocol does not have
        return false;
    }
  }

 private:
  bool Skip(uint64_t bytes) {
    if (bytes > static_cast<uint64_t>(end_ - next_)) return false;
    next_ += bytes;
    return true;
  }

  bool ReadContents(uint64_t bytes) {
    const char* const begin = next_;
    if (!Skip(bytes)) return false;
    contents_ = absl::string_view(begin, bytes);
    return true;
  }

  bool ReadVarint(uint64_t& value) {
    value = 0;
    for (int shift = 0; shift < 64 && next_ < end_; shift += 7) {
      const auto byte = static_cast<uint8_t>(*next_++);
      value |= uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }

  const char* next_;
  const char* end_;
  uint64_t number_ = 0;
  uint64_t varint_ = 0;
  absl::string_view contents_;
};

absl::Status Malformed() {
  return absl::InvalidArgumentError("part 0 is not an envelope: cut short or malformed");
}

// Counts the fields of one message of this shape, and of those in it, into `fields`.
absl::Status CountFields(absl::string_view message, const Shape& shape, size_t& fields) {
  Reader reader(message);
  while (!reader.done()) {
    if (!reader.Read()) return Malformed();
    if (++fields > kMaxEnvelopeFields) {
      return absl::InvalidArgumentError(
          absl::StrCat("part 0 has more than ", kMaxEnvelopeFields, " fields"));
    }
    if (reader.number() >= shape.messages.size()) continue;
    const Shape* inner = shape.messages[reader.number()];
    if (inner == nullptr) continue;
    if (absl::Status bad = CountFields(reader.contents(), *inner, fields); !bad.ok()) return bad;
  }
  return absl::OkStatus();
}

// The version comes first from every sender that follows protobuf's order.
absl::Status CheckVersion(absl::string_view bytes) {
  Reader reader(bytes);
  while (!reader.done()) {
    if (!reader.Read()) return Malformed();
    if (reader.number() != protocol::Envelope::kVersionFieldNumber) continue;
    const uint64_t version = reader.varint();
    if (version == kProtocolVersion) return absl::OkStatus();
    if (version == 0) break;
    return absl::FailedPreconditionError(absl::StrCat(
        "the other side speaks protocol version ", version, ", this program ", kProtocolVersion));
  }
  return absl::InvalidArgumentError("version is missing");
}

}  // namespace

absl::Status ScanEnvelope(absl::string_view bytes) {
  if (absl::Status bad = CheckVersion(bytes); !bad.ok()) return bad;
  // The usual message needs no counting: a field is two bytes at least.
  if (bytes.size() / 2 <= kMaxEnvelopeFields) return absl::OkStatus();
  static const Shape& envelope = *NewShape(*protocol::Envelope::descriptor());
  size_t fields = 0;
  return CountFields(bytes, envelope, fields);
}

}  // namespace taskfarm
