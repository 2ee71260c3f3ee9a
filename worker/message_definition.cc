#include "worker/message_definition.h"

#include <vector>

#include "absl/container/btree_map.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.pb.h"

namespace taskfarm {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::FileDescriptor;

// What belongs to the type itself; the types nested in it count where a field uses them. Proto2
// and proto3 read the same fields differently.
std::string OwnDefinition(const Descriptor& type) {
  google::protobuf::DescriptorProto proto;
  type.CopyTo(&proto);
  proto.clear_nested_type();
  proto.clear_enum_type();
  proto.clear_extension();
  return absl::StrCat(FileDescriptor::SyntaxName(type.file()->syntax()), " ",
                      proto.ShortDebugString());
}

std::string OwnDefinition(const EnumDescriptor& type) {
  google::protobuf::EnumDescriptorProto proto;
  type.CopyTo(&proto);
  return proto.ShortDebugString();
}

}  // namespace

std::string MessageDefinition(absl::Span<const Descriptor* const> roots) {
  absl::btree_map<std::string, std::string> definitions;  // by the type's full name
  std::vector<const Descriptor*> to_visit(roots.begin(), roots.end());
  while (!to_visit.empty()) {
    const Descriptor& type = *to_visit.back();
    to_visit.pop_back();
    if (!definitions.try_emplace(type.full_name(), OwnDefinition(type)).second) continue;
    for (int i = 0; i < type.field_count(); ++i) {
      const FieldDescriptor& field = *type.field(i);
      if (field.message_type() != nullptr) to_visit.push_back(field.message_type());
      if (field.enum_type() != nullptr) {
        definitions.try_emplace(field.enum_type()->full_name(), OwnDefinition(*field.enum_type()));
      }
    }
  }
  std::string text;
  for (const auto& [name, definition] : definitions) {
    absl::StrAppend(&text, name, " ", definition, "\n");
  }
  return text;
}

}  // namespace taskfarm
