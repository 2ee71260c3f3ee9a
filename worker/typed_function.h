#ifndef TASKFARM_WORKER_TYPED_FUNCTION_H_
#define TASKFARM_WORKER_TYPED_FUNCTION_H_

#include <exception>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"
#include "worker/message_definition.h"
#include "worker/registry.h"
#include "worker/task_context.h"

namespace taskfarm {

// Requests and replies are values: protobuf messages, or absl::Cord for bytes that travel as they
// are and are not copied where that can be.

// Fills `value` from its serialized form; InvalidArgument if that is none. Copies the bytes of a
// message once more only if they are in several pieces.
absl::Status ParseValue(const absl::Cord& bytes, google::protobuf::Message& value);
absl::Status ParseValue(const absl::Cord& bytes, absl::Cord& value);

// The serialized form of `value`; ResourceExhausted if it would be over 2 GiB,
// FailedPrecondition if required fields are missing.
absl::StatusOr<absl::Cord> SerializeValue(const google::protobuf::Message& value);
absl::StatusOr<absl::Cord> SerializeValue(const absl::Cord& value);

namespace typed_function_internal {

template <typename T>
inline constexpr bool kIsMessage = std::is_base_of_v<google::protobuf::Message, T> &&
                                   !std::is_same_v<google::protobuf::Message, T>;
template <typename T>
inline constexpr bool kIsBytes = std::is_same_v<absl::Cord, T>;

// What a function's type says. Anything not listed is no task function.
template <typename F>
struct Signature {
  static constexpr bool kValid = false;
};
template <typename Req, typename Rep>
struct Signature<absl::StatusOr<Rep> (*)(const Req&, TaskContext&)> {
  static constexpr bool kValid = true;
  static constexpr bool kWantsContext = true;
  using Request = Req;
  using Reply = Rep;
};
template <typename Req, typename Rep>
struct Signature<absl::StatusOr<Rep> (*)(const Req&)> {
  static constexpr bool kValid = true;
  static constexpr bool kWantsContext = false;
  using Request = Req;
  using Reply = Rep;
};
template <typename Rep, typename... Args>
struct Signature<Rep (*)(Args...) noexcept> : Signature<Rep (*)(Args...)> {};

template <auto Function>
constexpr void Require() {
  using S = Signature<decltype(Function)>;
  static_assert(S::kValid,
                "a task function has the form `absl::StatusOr<Reply> F(const Request& request, "
                "TaskContext& context)`, or the same without the context");
  if constexpr (S::kValid) {
    static_assert(kIsMessage<typename S::Request> || kIsBytes<typename S::Request>,
                  "the request of a task function is a message type from a .proto file or "
                  "absl::Cord");
    static_assert(kIsMessage<typename S::Reply> || kIsBytes<typename S::Reply>,
                  "the reply of a task function is a message type from a .proto file or "
                  "absl::Cord");
  }
}

template <auto Function>
absl::StatusOr<absl::Cord> Run(absl::Cord bytes, TaskContext& context) {
  using S = Signature<decltype(Function)>;
  // Large messages are there twice at a time, not more often: as bytes and as a message, or request
  // and reply.
  const auto call = [&bytes, &context]() -> absl::StatusOr<typename S::Reply> {
    typename S::Request request;
    if (absl::Status status = ParseValue(bytes, request); !status.ok()) return status;
    bytes.Clear();
    if constexpr (S::kWantsContext) {
      return Function(request, context);
    } else {
      return Function(request);
    }
  };
  try {
    const absl::StatusOr<typename S::Reply> reply = call();
    if (!reply.ok()) return reply.status();
    return SerializeValue(*reply);
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("threw: ", error.what()));
  } catch (...) {
    return absl::InternalError("threw something that is not a std::exception");
  }
}

}  // namespace typed_function_internal

// The request and reply types of a task function.
template <auto Function>
using RequestOf = typename typed_function_internal::Signature<decltype(Function)>::Request;
template <auto Function>
using ReplyOf = typename typed_function_internal::Signature<decltype(Function)>::Reply;

// The name of a request or reply type as signatures have it.
template <typename Value>
std::string TypeName() {
  if constexpr (typed_function_internal::kIsBytes<Value>) {
    return "absl::Cord";
  } else {
    return Value::descriptor()->full_name();
  }
}

// What a Registry needs to know about `Function`, which has the form
//   absl::StatusOr<Reply> F(const Request& request, TaskContext& context);
// (or without the context), with message types from .proto files or absl::Cord. A request that does
// not parse gives InvalidArgument, an exception Internal ("threw: ..."), a reply over 2 GiB
// ResourceExhausted.
template <auto Function>
RegisteredFunction MakeFunction(absl::string_view name) {
  typed_function_internal::Require<Function>();
  using Request = RequestOf<Function>;
  using Reply = ReplyOf<Function>;
  std::vector<const google::protobuf::Descriptor*> messages;
  if constexpr (!typed_function_internal::kIsBytes<Request>) {
    messages.push_back(Request::descriptor());
  }
  if constexpr (!typed_function_internal::kIsBytes<Reply>) messages.push_back(Reply::descriptor());
  RegisteredFunction function;
  function.name = std::string(name);
  function.signature = absl::StrCat(name, "(", TypeName<Request>(), ") -> ", TypeName<Reply>());
  function.definition = MessageDefinition(messages);
  function.run = &typed_function_internal::Run<Function>;
  return function;
}

}  // namespace taskfarm

#endif  // TASKFARM_WORKER_TYPED_FUNCTION_H_
