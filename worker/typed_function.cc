#include "worker/typed_function.h"

#include <climits>

#include "absl/types/optional.h"

namespace taskfarm {
namespace {

constexpr size_t kSmallBytes = 256;  // serialized on the stack

absl::Status NotAMessage(const google::protobuf::Message& message, size_t bytes) {
  return absl::InvalidArgumentError(
      absl::StrCat("these ", bytes, " bytes are no ", message.GetDescriptor()->full_name()));
}

absl::Status TooLarge(absl::string_view type, size_t bytes) {
  return absl::ResourceExhaustedError(
      absl::StrCat("a ", type, " of ", bytes, " bytes is over 2 GiB"));
}

}  // namespace

absl::Status ParseValue(const absl::Cord& bytes, google::protobuf::Message& value) {
  if (bytes.size() > INT_MAX) return NotAMessage(value, bytes.size());
  std::string copy;
  absl::optional<absl::string_view> flat = bytes.TryFlat();
  if (!flat.has_value()) {
    absl::CopyCordToString(bytes, &copy);
    flat = copy;
  }
  // Partial, because the strict form writes to stderr about required fields.
  if (!value.ParsePartialFromArray(flat->data(), static_cast<int>(flat->size())) ||
      !value.IsInitialized()) {
    return NotAMessage(value, bytes.size());
  }
  return absl::OkStatus();
}

absl::Status ParseValue(const absl::Cord& bytes, absl::Cord& value) {
  value = bytes;
  return absl::OkStatus();
}

absl::StatusOr<absl::Cord> SerializeValue(const google::protobuf::Message& value) {
  if (!value.IsInitialized()) {
    return absl::FailedPreconditionError(
        absl::StrCat("a ", value.GetDescriptor()->full_name(),
                     " lacks required fields: ", value.InitializationErrorString()));
  }
  const size_t bytes = value.ByteSizeLong();
  if (bytes > INT_MAX) {
    return TooLarge(value.GetDescriptor()->full_name(), bytes);
  }
  if (bytes <= kSmallBytes) {
    char buffer[kSmallBytes];
    value.SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(buffer));
    return absl::Cord(absl::string_view(buffer, bytes));
  }
  // A string would be filled with zeros first.
  char* const serialized = new char[bytes];
  value.SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(serialized));
  return absl::MakeCordFromExternal(absl::string_view(serialized, bytes),
                                    [serialized] { delete[] serialized; });
}

absl::StatusOr<absl::Cord> SerializeValue(const absl::Cord& value) {
  if (value.size() > INT_MAX) return TooLarge(TypeName<absl::Cord>(), value.size());
  return value;
}

}  // namespace taskfarm
