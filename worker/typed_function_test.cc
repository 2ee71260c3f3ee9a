#include "worker/typed_function.h"

#include <atomic>
#include <climits>
#include <stdexcept>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "protocol/ids.h"
#include "worker/typed_function_test.pb.h"

namespace taskfarm {
namespace {

using test::Numbers;
using test::Strict;
using test::Sum;
using ::testing::HasSubstr;

absl::StatusOr<Sum> Add(const Numbers& request, TaskContext& context) {
  Sum reply;
  for (const int64_t number : request.numbers()) reply.set_sum(reply.sum() + number);
  if (request.has_padding()) reply.set_padding(request.padding());
  reply.set_sum(reply.sum() + static_cast<int64_t>(context.slot()));
  return reply;
}

absl::StatusOr<Sum> Count(const Numbers& request) {
  Sum reply;
  reply.set_sum(request.numbers_size());
  return reply;
}

absl::StatusOr<Sum> CountNoexcept(const Numbers& request) noexcept { return Count(request); }
absl::StatusOr<Sum> Fail(const Numbers&) { return absl::NotFoundError("no such number"); }
absl::StatusOr<Sum> Throw(const Numbers&) { throw std::runtime_error("out of numbers"); }
absl::StatusOr<Sum> ThrowInt(const Numbers&) { throw 3; }
absl::StatusOr<Strict> Incomplete(const Strict&) { return Strict(); }

absl::StatusOr<absl::Cord> ReturnBytes(const absl::Cord& bytes, TaskContext&) { return bytes; }
absl::StatusOr<Sum> SizeOf(const absl::Cord& bytes) {
  Sum reply;
  reply.set_sum(static_cast<int64_t>(bytes.size()));
  return reply;
}
absl::StatusOr<absl::Cord> TooMany(const absl::Cord& bytes) {
  absl::Cord many;
  while (many.size() <= INT_MAX) many.Append(bytes);
  return many;
}

template <typename F>
inline constexpr bool kIsTaskFunction = typed_function_internal::Signature<F*>::kValid;

static_assert(kIsTaskFunction<absl::StatusOr<Sum>(const Numbers&, TaskContext&)>);
static_assert(kIsTaskFunction<absl::StatusOr<Sum>(const Numbers&, TaskContext&) noexcept>);
static_assert(kIsTaskFunction<absl::StatusOr<Sum>(const Numbers&)>);
static_assert(!kIsTaskFunction<Sum(const Numbers&)>);
static_assert(!kIsTaskFunction<absl::StatusOr<Sum>(Numbers)>);
static_assert(!kIsTaskFunction<absl::StatusOr<Sum>(Numbers&, TaskContext&)>);
static_assert(!kIsTaskFunction<absl::StatusOr<Sum>(const Numbers&, const TaskContext&)>);
static_assert(!kIsTaskFunction<absl::StatusOr<Sum>()>);
static_assert(std::is_same_v<RequestOf<&Add>, Numbers>);
static_assert(std::is_same_v<ReplyOf<&CountNoexcept>, Sum>);

absl::StatusOr<absl::Cord> Call(const RegisteredFunction& function, const absl::Cord& request) {
  const std::atomic<bool> cancelled{false};
  TaskContext context(TaskId{1}, Attempt{1}, WorkerId{1}, 100, cancelled);
  return function.run(request, context);
}

absl::Cord Serialized(const google::protobuf::Message& message) {
  return absl::Cord(message.SerializeAsString());
}

Numbers SomeNumbers() {
  Numbers numbers;
  for (const int64_t number : {1, 2, 39}) numbers.add_numbers(number);
  return numbers;
}

TEST(TypedFunctionTest, SaysWhatItIs) {
  const RegisteredFunction function = MakeFunction<&Add>("Add");
  EXPECT_EQ(function.name, "Add");
  EXPECT_EQ(function.signature, "Add(taskfarm.test.Numbers) -> taskfarm.test.Sum");
  EXPECT_THAT(function.definition, HasSubstr("numbers"));
  EXPECT_THAT(function.definition, HasSubstr("sum"));
}

TEST(TypedFunctionTest, ParsesRunsAndSerializes) {
  const absl::StatusOr<absl::Cord> bytes =
      Call(MakeFunction<&Add>("Add"), Serialized(SomeNumbers()));
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  Sum sum;
  ASSERT_TRUE(sum.ParseFromString(std::string(*bytes)));
  EXPECT_EQ(sum.sum(), 142);
}

TEST(TypedFunctionTest, BytesArePassedOnAsTheyAre) {
  const RegisteredFunction function = MakeFunction<&ReturnBytes>("ReturnBytes");
  EXPECT_EQ(function.signature, "ReturnBytes(absl::Cord) -> absl::Cord");
  EXPECT_EQ(function.definition, "");
  const absl::Cord request(std::string(100'000, 'x'));
  const absl::StatusOr<absl::Cord> reply = Call(function, request);
  ASSERT_TRUE(reply.ok()) << reply.status();
  ASSERT_TRUE(reply->TryFlat().has_value());
  EXPECT_EQ(reply->TryFlat()->data(), request.TryFlat()->data());
  EXPECT_EQ(*Call(function, absl::Cord("\xff\xff\xff")), "\xff\xff\xff");
  EXPECT_EQ(*Call(function, absl::Cord()), "");
}

TEST(TypedFunctionTest, BytesGoWithMessages) {
  const RegisteredFunction function = MakeFunction<&SizeOf>("SizeOf");
  EXPECT_EQ(function.signature, "SizeOf(absl::Cord) -> taskfarm.test.Sum");
  EXPECT_EQ(function.definition.find("numbers"), std::string::npos);
  EXPECT_THAT(function.definition, HasSubstr("sum"));
  Sum sum;
  ASSERT_TRUE(sum.ParseFromString(std::string(*Call(function, absl::Cord("seven b")))));
  EXPECT_EQ(sum.sum(), 7);
}

TEST(TypedFunctionTest, BytesHaveTheLimitOfMessages) {
  const absl::Status status =
      Call(MakeFunction<&TooMany>("TooMany"), absl::Cord(std::string(64 << 20, 'x'))).status();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("over 2 GiB"));
}

TEST(TypedFunctionTest, TheContextMayBeLeftOut) {
  for (const RegisteredFunction& function :
       {MakeFunction<&Count>("Count"), MakeFunction<&CountNoexcept>("Count")}) {
    const absl::StatusOr<absl::Cord> bytes = Call(function, Serialized(SomeNumbers()));
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    Sum sum;
    ASSERT_TRUE(sum.ParseFromString(std::string(*bytes)));
    EXPECT_EQ(sum.sum(), 3);
  }
}

TEST(TypedFunctionTest, TakesAndGivesLargeMessages) {
  Numbers numbers = SomeNumbers();
  numbers.set_padding(std::string(3'000'000, 'x'));
  const std::string flat = numbers.SerializeAsString();
  absl::Cord pieces;
  for (size_t i = 0; i < flat.size(); i += 100'000) {
    absl::Cord piece(flat.substr(i, 100'000));
    pieces.Append(std::move(piece));
  }
  ASSERT_FALSE(pieces.TryFlat().has_value());
  for (const absl::Cord& request : {absl::Cord(flat), pieces}) {
    const absl::StatusOr<absl::Cord> bytes = Call(MakeFunction<&Add>("Add"), request);
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    Sum sum;
    ASSERT_TRUE(sum.ParseFromString(std::string(*bytes)));
    EXPECT_EQ(sum.padding(), numbers.padding());
  }
}

TEST(TypedFunctionTest, EverySizeOfReplyArrives) {
  for (size_t size = 0; size < 1000; ++size) {
    Numbers numbers;
    numbers.set_padding(std::string(size, 'y'));
    const absl::StatusOr<absl::Cord> bytes = Call(MakeFunction<&Add>("Add"), Serialized(numbers));
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    Sum sum;
    ASSERT_TRUE(sum.ParseFromString(std::string(*bytes)));
    ASSERT_EQ(sum.padding(), numbers.padding());
  }
}

TEST(TypedFunctionTest, ARequestThatDoesNotParseIsRefused) {
  EXPECT_EQ(Call(MakeFunction<&Add>("Add"), absl::Cord("\xff\xff\xff")).status(),
            absl::InvalidArgumentError("these 3 bytes are no taskfarm.test.Numbers"));
  EXPECT_TRUE(absl::IsInvalidArgument(
      Call(MakeFunction<&Incomplete>("Incomplete"), absl::Cord()).status()));
}

TEST(TypedFunctionTest, AReplyThatLacksFieldsIsAnError) {
  Strict request;
  request.set_number(1);
  const absl::Status status =
      Call(MakeFunction<&Incomplete>("Incomplete"), Serialized(request)).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("number"));
}

TEST(TypedFunctionTest, AStatusComesThroughAsItIs) {
  EXPECT_EQ(Call(MakeFunction<&Fail>("Fail"), absl::Cord()).status(),
            absl::NotFoundError("no such number"));
}

TEST(TypedFunctionTest, AnExceptionBecomesAStatus) {
  EXPECT_EQ(Call(MakeFunction<&Throw>("Throw"), absl::Cord()).status(),
            absl::InternalError("threw: out of numbers"));
  EXPECT_EQ(Call(MakeFunction<&ThrowInt>("ThrowInt"), absl::Cord()).status(),
            absl::InternalError("threw something that is not a std::exception"));
}

}  // namespace
}  // namespace taskfarm
