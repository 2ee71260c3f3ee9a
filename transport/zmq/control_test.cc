#include "transport/zmq/control.h"

#include <optional>
#include <string>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace taskfarm::zmq_backend {
namespace {

TEST(ControlTest, ParsesWhatItEncodes) {
  for (ControlKind kind : {ControlKind::kMark, ControlKind::kMarkReturned, ControlKind::kGoodbye,
                           ControlKind::kGoodbyeReturned}) {
    for (const std::string& text : {std::string(), std::string("why\0not", 7)}) {
      const std::optional<Control> parsed = ParseControl(EncodeControl(kind, text));
      ASSERT_TRUE(parsed.has_value());
      EXPECT_EQ(parsed->kind, kind);
      EXPECT_EQ(parsed->text, text);
    }
  }
}

TEST(ControlTest, RefusesEverythingElse) {
  const std::string prefix(kControlPrefix);
  for (const std::string& frame : {std::string(), std::string("G"), prefix, prefix + "?",
                                   prefix.substr(1) + "G", " " + prefix + "G"}) {
    EXPECT_FALSE(ParseControl(frame).has_value()) << frame;
  }
}

TEST(ControlTest, KnowsMessagesThatLookLikeOne) {
  const auto looks = [](const absl::Cord& first) {
    Message message;
    message.parts.push_back(first);
    return LooksLikeControl(message);
  };
  EXPECT_FALSE(looks(absl::Cord()));
  EXPECT_FALSE(looks(absl::Cord(kControlPrefix.substr(0, 6))));
  EXPECT_TRUE(looks(absl::Cord(kControlPrefix)));
  EXPECT_TRUE(looks(absl::Cord(absl::StrCat(kControlPrefix, "anything"))));
}

}  // namespace
}  // namespace taskfarm::zmq_backend
