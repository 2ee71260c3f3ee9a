#include "keys/key_file.h"

#include <random>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "keys/test_directory.h"

namespace taskfarm {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

KeyFile Sample(KeyFileKind kind) {
  KeyFile file;
  file.kind = kind;
  file.pair = NextTestPair();
  if (kind != KeyFileKind::kMaster) file.name = "rack-7.node_3";
  if (kind == KeyFileKind::kIdentity) file.pair.secret_key.clear();
  if (kind == KeyFileKind::kWorker) file.master_public_key = NextTestPair().public_key;
  return file;
}

std::vector<KeyFile> Samples() {
  return {Sample(KeyFileKind::kMaster), Sample(KeyFileKind::kWorker),
          Sample(KeyFileKind::kIdentity)};
}

void ExpectSame(const KeyFile& a, const KeyFile& b) {
  EXPECT_EQ(a.kind, b.kind);
  EXPECT_EQ(a.name, b.name);
  EXPECT_EQ(a.pair.public_key, b.pair.public_key);
  EXPECT_EQ(a.pair.secret_key, b.pair.secret_key);
  EXPECT_EQ(a.master_public_key, b.master_public_key);
}

std::string ErrorOf(absl::string_view contents) {
  const absl::StatusOr<KeyFile> file = ParseKeyFile(contents, "x.key");
  EXPECT_TRUE(absl::IsInvalidArgument(file.status())) << file.status();
  return std::string(file.status().message());
}

TEST(KeyFileTest, HoldsWhatWasPutIn) {
  for (const KeyFile& file : Samples()) {
    const std::string text = FormatKeyFile(file);
    EXPECT_LT(text.size(), kMaxKeyFileBytes / 2);
    const absl::StatusOr<KeyFile> parsed = ParseKeyFile(text);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    ExpectSame(*parsed, file);
  }
}

TEST(KeyFileTest, LooksLikeThis) {
  StartTestPairsAt(1);
  EXPECT_EQ(FormatKeyFile(Sample(KeyFileKind::kWorker)),
            "taskfarm-key 1\n"
            "# The key of a taskfarm worker. Secret: who has it is let in as this worker.\n"
            "kind worker\n"
            "name rack-7.node_3\n"
            "public_key public0000000000000000000000000000000001\n"
            "secret_key secret0000000000000000000000000000000001\n"
            "master_public_key public0000000000000000000000000000000002\n");
}

TEST(KeyFileTest, TakesTheLongestNameAndComments) {
  KeyFile file = Sample(KeyFileKind::kIdentity);
  file.name = std::string(kMaxIdentityNameBytes, 'n');
  const std::string text = absl::StrCat("#\n# Rack 7\n", FormatKeyFile(file), "# the end\n");
  const absl::StatusOr<KeyFile> parsed = ParseKeyFile(text);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  ExpectSame(*parsed, file);
}

TEST(KeyFileTest, RefusesWhatIsCutShortAnywhere) {
  for (const KeyFile& file : Samples()) {
    const std::string text = FormatKeyFile(file);
    for (size_t size = 0; size < text.size(); ++size) {
      EXPECT_THAT(ErrorOf(text.substr(0, size)), StartsWith("x.key:")) << size;
    }
  }
}

TEST(KeyFileTest, SaysWhatIsWrongAndWhere) {
  const std::string text = FormatKeyFile(Sample(KeyFileKind::kWorker));
  const auto with = [&text](absl::string_view from, absl::string_view to) {
    const std::string changed = absl::StrReplaceAll(text, {{from, to}});
    EXPECT_NE(changed, text);
    return ErrorOf(changed);
  };
  EXPECT_EQ(ErrorOf(""),
            "x.key:1: not a taskfarm key file: the first line is not `taskfarm-key 1`");
  EXPECT_EQ(with("taskfarm-key 1", "taskfarm-key 2"),
            "x.key:1: not a taskfarm key file: the first line is not `taskfarm-key 1`");
  EXPECT_EQ(with("kind worker", "kind butler"),
            "x.key:3: the kind should be master, worker or identity");
  EXPECT_EQ(with("kind worker", "kind master"), "x.key:4: this should be `public_key ...`");
  EXPECT_EQ(with("name ", "name  "), absl::StrCat("x.key:4: ", IdentityNameRule()));
  EXPECT_EQ(with("\nname ", "\nName "), "x.key:4: this should be `name ...`");
  EXPECT_EQ(with("secret_key ", "secret_key"), "x.key:6: this should be `secret_key ...`");
  EXPECT_EQ(with("secret_key s", "secret_key "), "x.key:6: secret_key is not a key");
  EXPECT_EQ(with("secret_key s", "secret_key ~"), "x.key:6: secret_key is not a key");
  EXPECT_EQ(with("\nmaster_public", "\r\nmaster_public"), "x.key:6: secret_key is not a key");
  EXPECT_EQ(with("\npublic_key", "\n\npublic_key"), "x.key:5: this should be `public_key ...`");
  EXPECT_EQ(ErrorOf(text + "name twice\n"), "x.key:8: more than a key file holds");
  EXPECT_EQ(ErrorOf(text + "\n"), "x.key:8: more than a key file holds");
  EXPECT_EQ(ErrorOf(text.substr(0, text.size() - 1)), "x.key:7: the file is cut short");
  EXPECT_EQ(ErrorOf(text.substr(0, text.find("master_public"))),
            "x.key:7: the file is cut short: no line `master_public_key ...`");
}

TEST(KeyFileTest, LooksAtSoManyBytesOnly) {
  const std::string text = FormatKeyFile(Sample(KeyFileKind::kMaster));
  const std::string comment = std::string(kMaxKeyFileBytes - text.size() - 2, ' ');
  EXPECT_TRUE(ParseKeyFile(absl::StrCat(text, "#", comment, "\n")).ok());
  EXPECT_THAT(ErrorOf(absl::StrCat(text, "#", comment, " \n")), HasSubstr("cut short"));
}

TEST(KeyFileTest, KeysAreTheTextOf32Bytes) {
  EXPECT_TRUE(IsKeyText("rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"));
  EXPECT_TRUE(IsKeyText(std::string(40, '0')));
  const std::string head(35, '0');
  EXPECT_TRUE(IsKeyText(head + "%nSc0"));   // 2^32 - 1
  EXPECT_FALSE(IsKeyText(head + "%nSc1"));  // 2^32
  EXPECT_FALSE(IsKeyText(head + "#####"));
  EXPECT_FALSE(IsKeyText(head + "0000"));
  EXPECT_FALSE(IsKeyText(head + "000000"));
  EXPECT_FALSE(IsKeyText(head + "0000~"));
  EXPECT_FALSE(IsKeyText(head + "0000 "));
  EXPECT_FALSE(IsKeyText(absl::string_view("0000\0", 5)));
  EXPECT_FALSE(IsKeyText(head + std::string(5, '\0')));
  EXPECT_FALSE(IsKeyText(""));
}

TEST(KeyFileTest, NamesAreFileNames) {
  for (const char* const name : {"a", "owner", "rack-7.node_3", "A..b", "-x", "7", "_"}) {
    EXPECT_TRUE(IsIdentityName(name)) << name;
  }
  for (const char* const name :
       {"", ".", "..", ".a", "a/b", "../a", "a b", "a\n", "a\x7f", "\xc3\xa4", "a*"}) {
    EXPECT_FALSE(IsIdentityName(name)) << name;
  }
  EXPECT_FALSE(IsIdentityName(absl::string_view("a\0b", 3)));
  EXPECT_TRUE(IsIdentityName(std::string(kMaxIdentityNameBytes, 'x')));
  EXPECT_FALSE(IsIdentityName(std::string(kMaxIdentityNameBytes + 1, 'x')));
}

// Whatever a file holds: no crash, one line of error without what the file holds, and what is taken
// can be written and read again.
TEST(KeyFileTest, TakesAnyBytes) {
  std::mt19937_64 random(20220623);
  const auto below = [&random](size_t limit) { return static_cast<size_t>(random() % limit); };
  const std::vector<KeyFile> samples = Samples();
  const std::string pieces[] = {"\n",
                                "#",
                                " ",
                                "taskfarm-key 1\n",
                                "kind master\n",
                                "name ",
                                std::string(1, '\0'),
                                "\xff",
                                std::string(100, 'A')};
  size_t taken = 0;
  for (int round = 0; round < 50'000; ++round) {
    const KeyFile& sample = samples[below(samples.size())];
    std::string text = FormatKeyFile(sample);
    for (size_t changes = below(4); changes > 0; --changes) {
      const size_t at = below(text.size() + 1);
      switch (below(4)) {
        case 0:
          text.insert(at, pieces[below(std::size(pieces))]);
          break;
        case 1:
          text.erase(at, below(20));
          break;
        case 2:
          if (at < text.size()) text[at] = static_cast<char>(random());
          break;
        default:
          text.insert(at, text.substr(below(text.size() + 1), below(60)));
      }
    }
    const absl::StatusOr<KeyFile> parsed = ParseKeyFile(text, "x.key");
    if (!parsed.ok()) {
      const std::string message(parsed.status().message());
      EXPECT_THAT(message, StartsWith("x.key:"));
      EXPECT_THAT(message, Not(HasSubstr("\n")));
      EXPECT_THAT(message, Not(HasSubstr("00000")));
      continue;
    }
    ++taken;
    const absl::StatusOr<KeyFile> again = ParseKeyFile(FormatKeyFile(*parsed));
    ASSERT_TRUE(again.ok()) << again.status();
    ExpectSame(*again, *parsed);
  }
  EXPECT_GT(taken, 10'000);
  EXPECT_LT(taken, 40'000);
}

TEST(KeyPairTest, WipesWhatWasSecret) {
  std::string secret = "secret";
  Wipe(secret);
  EXPECT_EQ(secret, std::string(6, '\0'));
}

}  // namespace
}  // namespace taskfarm
