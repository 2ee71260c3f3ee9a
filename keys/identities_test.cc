#include "keys/identities.h"

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "keys/test_directory.h"

namespace taskfarm {
namespace {

using testing::ElementsAre;
using testing::Optional;

class IdentitiesTest : public testing::Test {
 protected:
  IdentitiesTest() : keys_(*MasterKeys::OpenOrCreate(files_.Path("keys"), NextTestPair)) {}

  absl::Status Add(const std::string& name, absl::string_view out) {
    return AddIdentity(*keys_, name, files_.Path(out), NextTestPair);
  }

  absl::Status Revoke(const std::string& name) { return RevokeIdentity(files_.Path("keys"), name); }

  TestDirectory files_;
  std::unique_ptr<MasterKeys> keys_;
};

TEST_F(IdentitiesTest, LetsInAndOutAgain) {
  ASSERT_TRUE(Add("laptop", "laptop.key").ok());
  EXPECT_EQ(files_.ModeOf("laptop.key"), 0600u);
  const absl::StatusOr<WorkerKeys> worker = LoadWorkerKeys(files_.Path("laptop.key"));
  ASSERT_TRUE(worker.ok()) << worker.status();
  EXPECT_EQ(worker->name, "laptop");
  EXPECT_EQ(worker->master_public_key, keys_->pair().public_key);
  EXPECT_TRUE(*keys_->Refresh());
  EXPECT_THAT(keys_->IdentityOf(worker->pair.public_key), Optional(std::string("laptop")));
  ASSERT_TRUE(Revoke("laptop").ok());
  EXPECT_TRUE(*keys_->Refresh());
  EXPECT_EQ(keys_->IdentityOf(worker->pair.public_key), std::nullopt);
  EXPECT_THAT(keys_->Identities(), ElementsAre("owner"));
}

TEST_F(IdentitiesTest, OverwritesNothing) {
  ASSERT_TRUE(Add("laptop", "first").ok());
  const std::string first = files_.Read("first");
  const absl::Status again = Add("laptop", "second");
  EXPECT_TRUE(absl::IsAlreadyExists(again));
  EXPECT_EQ(again.message(),
            "laptop is let in already: --revoke laptop first, or take another name");
  EXPECT_FALSE(files_.Has("second"));
  const absl::Status taken = Add("tower", "first");
  EXPECT_TRUE(absl::IsAlreadyExists(taken));
  EXPECT_EQ(taken.message(), absl::StrCat(files_.Path("first"), " exists already"));
  EXPECT_EQ(files_.Read("first"), first);
  EXPECT_FALSE(files_.Has("keys/workers/tower"));
  EXPECT_TRUE(absl::IsNotFound(Add("tower", "no/such/file")));
  EXPECT_FALSE(files_.Has("keys/workers/tower"));
}

TEST_F(IdentitiesTest, TakesNamesOnly) {
  for (const char* const name : {"", "../master.key", ".about", "a b", "/etc/passwd"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(Add(name, "out"))) << name;
    EXPECT_TRUE(absl::IsInvalidArgument(Revoke(name))) << name;
  }
  EXPECT_FALSE(files_.Has("out"));
}

TEST_F(IdentitiesTest, RevokesWhatIsBroken) {
  files_.Write("keys/workers/broken", "?", 0666);
  EXPECT_TRUE(absl::IsAlreadyExists(Add("broken", "out")));
  EXPECT_TRUE(Revoke("broken").ok());
  EXPECT_FALSE(files_.Has("keys/workers/broken"));
  EXPECT_TRUE(Add("broken", "out").ok());
}

TEST_F(IdentitiesTest, SaysWhoIsNotThere) {
  const absl::Status status = Revoke("nobody");
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_EQ(status.message(),
            absl::StrCat("nobody is not let in: no file ", files_.Path("keys/workers/nobody")));
  EXPECT_TRUE(absl::IsNotFound(RevokeIdentity(files_.Path("other"), "nobody")));
  EXPECT_FALSE(files_.Has("other"));
}

TEST_F(IdentitiesTest, TheOwnersKeyCanBeRenewed) {
  const std::string before = LoadWorkerKeys(files_.Path("keys"))->pair.public_key;
  ASSERT_TRUE(Revoke("owner").ok());
  EXPECT_THAT(files_.NamesIn("keys"), ElementsAre("master.key", "workers"));
  EXPECT_TRUE(absl::IsNotFound(Revoke("owner")));
  // A master that starts makes no new one: who is out stays out.
  keys_ = *MasterKeys::OpenOrCreate(files_.Path("keys"), NextTestPair);
  EXPECT_THAT(keys_->Identities(), ElementsAre());
  ASSERT_TRUE(Add("owner", "keys/worker.key").ok());
  EXPECT_TRUE(*keys_->Refresh());
  const absl::StatusOr<WorkerKeys> worker = LoadWorkerKeys(files_.Path("keys"));
  ASSERT_TRUE(worker.ok()) << worker.status();
  EXPECT_NE(worker->pair.public_key, before);
  EXPECT_THAT(keys_->IdentityOf(worker->pair.public_key), Optional(std::string("owner")));
  EXPECT_EQ(keys_->IdentityOf(before), std::nullopt);
}

}  // namespace
}  // namespace taskfarm
