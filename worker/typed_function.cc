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

}  // namespace

absl::Status ParseMessage(const absl::Cord& bytes, google::protobuf::Message& message) {
  if (bytes.size() > INT_MAX) return NotAMessage(message, bytes.size());
  std::string copy;
  absl::optional<absl::string_view> flat = bytes.TryFlat();
  if (!flat.has_value()) {
    absl::CopyCordToString(bytes, &copy);
    flat = copy;
  }
  // Partial, because the strict form writes to stderr about required fields.
  if (!message.ParsePartialFromArray(flat->data(), static_cast<int>(flat->size())) ||
      !message.IsInitialized()) {
    return NotAMessage(message, bytes.size());
  }
  return absl::OkStatus();
}

absl::StatusOr<absl::Cord> SerializeMessage(const google::protobuf::Message& message) {
  if (!message.IsInitialized()) {
    return absl::FailedPreconditionError(
        absl::StrCat("a ", message.GetDescriptor()->full_name(),
                     " lacks required fields: ", message.InitializationErrorString()));
  }
  const size_t bytes = message.ByteSizeLong();
  if (bytes > INT_MAX) {
    return absl::ResourceExhaustedError(absl::StrCat("a ", message.GetDescriptor()->full_name(),
                                                     " of ", bytes, " bytes is over 2 GiB"));
  }
  if (bytes <= kSmallBytes) {
    char buffer[kSmallBytes];
    message.SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(buffer));
    return absl::Cord(absl::string_view(buffer, bytes));
  }
  // A string would be filled with zeros first.
  char* const serialized = new char[bytes];
  message.SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(serialized));
  return absl::MakeCordFromExternal(absl::string_view(serialized, bytes),
                                    [serialized] { delete[] serialized; });
}

}  // namespace taskfarm
