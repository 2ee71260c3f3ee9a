#include "worker/message_definition.h"

#include "gmock/gmock.h"
#include "google/protobuf/descriptor.pb.h"
#include "gtest/gtest.h"

namespace taskfarm {
namespace {

using ::google::protobuf::Descriptor;
using ::google::protobuf::DescriptorPool;
using ::google::protobuf::EnumDescriptorProto;
using ::google::protobuf::FieldDescriptorProto;
using ::google::protobuf::FileDescriptorProto;
using ::testing::HasSubstr;
using ::testing::Not;

// request.proto as a descriptor: Request { repeated Part parts = 1; Request next = 2; Kind kind =
// 3; message Part { int64 size = 1; } enum Kind { NONE = 0; } }, message Other {}.
class MessageDefinitionTest : public ::testing::Test {
 protected:
  MessageDefinitionTest() {
    file_.set_name("request.proto");
    file_.set_package("test");
    file_.set_syntax("proto3");
    auto& request = *file_.add_message_type();
    request.set_name("Request");
    auto& part = *request.add_nested_type();
    part.set_name("Part");
    AddField("size", 1, FieldDescriptorProto::TYPE_INT64, "", part);
    EnumDescriptorProto& kind = *request.add_enum_type();
    kind.set_name("Kind");
    auto& none = *kind.add_value();
    none.set_name("NONE");
    none.set_number(0);
    AddField("parts", 1, FieldDescriptorProto::TYPE_MESSAGE, ".test.Request.Part", request);
    AddField("next", 2, FieldDescriptorProto::TYPE_MESSAGE, ".test.Request", request);
    AddField("kind", 3, FieldDescriptorProto::TYPE_ENUM, ".test.Request.Kind", request);
    file_.add_message_type()->set_name("Other");
  }

  static void AddField(const std::string& name, int number, FieldDescriptorProto::Type type,
                       const std::string& type_name, google::protobuf::DescriptorProto& message) {
    FieldDescriptorProto& field = *message.add_field();
    field.set_name(name);
    field.set_number(number);
    field.set_type(type);
    field.set_label(FieldDescriptorProto::LABEL_OPTIONAL);
    if (!type_name.empty()) field.set_type_name(type_name);
  }

  std::string DefinitionNow() const {
    DescriptorPool pool;
    const auto* const file = pool.BuildFile(file_);
    EXPECT_NE(file, nullptr);
    return MessageDefinition({file->FindMessageTypeByName("Request")});
  }

  FileDescriptorProto file_;
};

TEST_F(MessageDefinitionTest, FollowsEveryField) {
  const std::string definition = DefinitionNow();
  EXPECT_THAT(definition, HasSubstr("test.Request "));
  EXPECT_THAT(definition, HasSubstr("test.Request.Part "));
  EXPECT_THAT(definition, HasSubstr("test.Request.Kind "));
  EXPECT_EQ(definition, DefinitionNow());
}

TEST_F(MessageDefinitionTest, ChangesWithAnythingThatIsUsed) {
  const std::string definition = DefinitionNow();
  const FileDescriptorProto before = file_;

  file_.mutable_message_type(0)->mutable_nested_type(0)->mutable_field(0)->set_type(
      FieldDescriptorProto::TYPE_SINT64);
  EXPECT_NE(DefinitionNow(), definition) << "a nested field's type";
  file_ = before;
  file_.mutable_message_type(0)->mutable_field(0)->set_number(9);
  EXPECT_NE(DefinitionNow(), definition) << "a field's number";
  file_ = before;
  file_.mutable_message_type(0)->mutable_enum_type(0)->mutable_value(0)->set_name("NIL");
  EXPECT_NE(DefinitionNow(), definition) << "an enum";
  file_ = before;
  file_.set_syntax("proto2");
  EXPECT_NE(DefinitionNow(), definition) << "the syntax";
  file_ = before;
  EXPECT_EQ(DefinitionNow(), definition);
}

TEST_F(MessageDefinitionTest, IgnoresTheRestOfTheFile) {
  const std::string definition = DefinitionNow();
  EXPECT_THAT(definition, Not(HasSubstr("Other")));
  file_.mutable_message_type(1)->set_name("Renamed");
  file_.mutable_message_type(0)->add_nested_type()->set_name("NestedButUnused");
  EXPECT_EQ(DefinitionNow(), definition);
}

TEST_F(MessageDefinitionTest, TheOrderOfTheRootsDoesNotCount) {
  DescriptorPool pool;
  const auto* const file = pool.BuildFile(file_);
  const Descriptor* const request = file->FindMessageTypeByName("Request");
  const Descriptor* const other = file->FindMessageTypeByName("Other");
  EXPECT_EQ(MessageDefinition({request, other}), MessageDefinition({other, request}));
  EXPECT_NE(MessageDefinition({request, other}), MessageDefinition({request}));
}

}  // namespace
}  // namespace taskfarm
