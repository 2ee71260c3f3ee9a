#ifndef TASKFARM_BASE_CHECK_H_
#define TASKFARM_BASE_CHECK_H_

#include <concepts>
#include <memory>
#include <ostream>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>

// CHECK is for our own bugs: what must hold whatever the world does. When it does not, the program
// prints the place, the condition, the values and what was streamed to stderr and aborts. What the
// world can do wrong (a peer, a file, a user's flag) is an absl::Status instead.
//
//   CHECK(queue.empty()) << "after drain, " << queue.size() << " left";
//   CHECK_EQ(in_flight, 0);        // both sides are evaluated once, and printed where they can be
//   CHECK_OK(message.Validate());  // an absl::Status or absl::StatusOr
//
// Integers of different signedness compare by value. The checks are there in every build, and may
// be used from any thread. A program that includes another library's CHECK (glog) first keeps that
// one.

namespace taskfarm {

// While it lives, a CHECK that fails in this thread prints this line too: what was going on. Of
// several, the one made last.
class CheckContext {
 public:
  explicit CheckContext(std::string line);
  CheckContext(const CheckContext&) = delete;
  CheckContext& operator=(const CheckContext&) = delete;
  ~CheckContext();

  const std::string& line() const { return line_; }

 private:
  const std::string line_;
  const CheckContext* const outer_;
};

}  // namespace taskfarm

namespace taskfarm::check_internal {

// Collects the message of a failed check; its destructor prints it and aborts.
class Failure {
 public:
  Failure(const char* file, int line, const char* condition);
  // Takes what a comparison says (never null) in place of the condition's text.
  Failure(const char* file, int line, std::unique_ptr<std::string> text);
  Failure(const Failure&) = delete;
  Failure& operator=(const Failure&) = delete;
  [[noreturn]] ~Failure();

  std::ostream& stream() { return stream_; }

 private:
  std::ostringstream stream_;
};

template <typename T, typename... Others>
concept IsNoneOf = (!std::same_as<T, Others> && ...);

template <typename T>
concept Integer = std::integral<T> && IsNoneOf<T, bool, char, wchar_t, char8_t, char16_t, char32_t>;

template <typename T>
concept Streamable = requires(std::ostream& out, const T& value) {
  out << value;
};

template <typename T>
void Print(std::ostream& out, const T& value) {
  if constexpr (Integer<T>) {
    out << +value;  // one-byte integers as numbers
  } else if constexpr (Streamable<T>) {
    out << value;
  } else if constexpr (std::is_enum_v<T>) {
    out << +static_cast<std::underlying_type_t<T>>(value);
  } else {
    out << "(not printable)";
  }
}

template <typename A, typename B>
std::unique_ptr<std::string> Describe(const char* expression, const A& a, const B& b) {
  std::ostringstream out;
  out << expression << " (";
  Print(out, a);
  out << " vs. ";
  Print(out, b);
  out << ")";
  return std::make_unique<std::string>(out.str());
}

// One function an operator: null when it holds, else the message. Integers go through the
// comparison that knows their signs.
#define TASKFARM_CHECK_INTERNAL_DEFINE_COMPARE(name, op, integer_compare)             \
  template <typename A, typename B>                                                   \
  std::unique_ptr<std::string> name(const A& a, const B& b, const char* expression) { \
    if constexpr (Integer<A> && Integer<B>) {                                         \
      if (integer_compare(a, b)) [[likely]] {                                         \
        return nullptr;                                                               \
      }                                                                               \
    } else if (a op b) {                                                              \
      return nullptr;                                                                 \
    }                                                                                 \
    return Describe(expression, a, b);                                                \
  }
TASKFARM_CHECK_INTERNAL_DEFINE_COMPARE(CompareEq, ==, std::cmp_equal)
TASKFARM_CHECK_INTERNAL_DEFINE_COMPARE(CompareNe, !=, std::cmp_not_equal)
TASKFARM_CHECK_INTERNAL_DEFINE_COMPARE(CompareLt, <, std::cmp_less)
TASKFARM_CHECK_INTERNAL_DEFINE_COMPARE(CompareLe, <=, std::cmp_less_equal)
TASKFARM_CHECK_INTERNAL_DEFINE_COMPARE(CompareGt, >, std::cmp_greater)
TASKFARM_CHECK_INTERNAL_DEFINE_COMPARE(CompareGe, >=, std::cmp_greater_equal)
#undef TASKFARM_CHECK_INTERNAL_DEFINE_COMPARE

template <typename T>
std::unique_ptr<std::string> RequireOk(const T& result, const char* expression) {
  if (result.ok()) [[likely]] {
    return nullptr;
  }
  std::string status;
  if constexpr (requires { result.status(); }) {
    status = result.status().ToString();
  } else {
    status = result.ToString();
  }
  return std::make_unique<std::string>(std::string(expression) + " is OK (" + status + ")");
}

}  // namespace taskfarm::check_internal

// `while` rather than `if`: it takes no `else` that follows it. The body never returns.
#define TASKFARM_CHECK_INTERNAL_REQUIRE(call)                                                 \
  while (std::unique_ptr<std::string> taskfarm_check_text = ::taskfarm::check_internal::call) \
  ::taskfarm::check_internal::Failure(__FILE__, __LINE__, std::move(taskfarm_check_text)).stream()

#ifndef CHECK
#define CHECK(condition) \
  while (!(condition))   \
  [[unlikely]] ::taskfarm::check_internal::Failure(__FILE__, __LINE__, #condition).stream()
#define CHECK_EQ(a, b) TASKFARM_CHECK_INTERNAL_REQUIRE(CompareEq(a, b, #a " == " #b))
#define CHECK_NE(a, b) TASKFARM_CHECK_INTERNAL_REQUIRE(CompareNe(a, b, #a " != " #b))
#define CHECK_LT(a, b) TASKFARM_CHECK_INTERNAL_REQUIRE(CompareLt(a, b, #a " < " #b))
#define CHECK_LE(a, b) TASKFARM_CHECK_INTERNAL_REQUIRE(CompareLe(a, b, #a " <= " #b))
#define CHECK_GT(a, b) TASKFARM_CHECK_INTERNAL_REQUIRE(CompareGt(a, b, #a " > " #b))
#define CHECK_GE(a, b) TASKFARM_CHECK_INTERNAL_REQUIRE(CompareGe(a, b, #a " >= " #b))
#endif

// CHECK where assert() is on: for what is done so often that looking would cost.
#ifndef DCHECK
#ifdef NDEBUG
#define DCHECK(condition) CHECK(true || (condition))
#else
#define DCHECK(condition) CHECK(condition)
#endif
#endif

#ifndef CHECK_OK
#define CHECK_OK(result) TASKFARM_CHECK_INTERNAL_REQUIRE(RequireOk(result, #result))
#endif

#endif  // TASKFARM_BASE_CHECK_H_
