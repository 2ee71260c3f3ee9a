// Who may say something of a task, and has to, where the transport tells who is who.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "master/master_test_base.h"

namespace taskfarm {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A transport whose peers have proven, in order of coming, to be these.
class ProvingTransport : public Transport {
 public:
  ProvingTransport(std::unique_ptr<Transport> transport, std::vector<std::string> identities)
      : transport_(std::move(transport)), identities_(std::move(identities)) {}

  absl::Status Send(PeerId to, Message&& message) override {
    return transport_->Send(to, std::move(message));
  }
  absl::Status Poll(absl::Duration timeout, size_t max_events,
                    std::vector<TransportEvent>& events) override {
    const size_t before = events.size();
    absl::Status status = transport_->Poll(timeout, max_events, events);
    for (size_t i = before; i < events.size(); ++i) {
      auto* up = std::get_if<PeerUp>(&events[i]);
      if (up != nullptr) up->identity = identities_.at(next_++);
    }
    return status;
  }
  void Disconnect(PeerId peer) override { disconnected_.push_back(peer); }
  void Wake() override { transport_->Wake(); }
  absl::Status Close(absl::Duration linger) override { return transport_->Close(linger); }

  const std::vector<PeerId>& disconnected() const { return disconnected_; }

 private:
  const std::unique_ptr<Transport> transport_;
  const std::vector<std::string> identities_;
  size_t next_ = 0;
  std::vector<PeerId> disconnected_;
};

class IdentityTest : public MasterTestBase {
 protected:
  void StartWith(std::vector<std::string> identities) {
    Start();
    master_.reset();
    auto proving = std::make_unique<ProvingTransport>(std::move(transport_), std::move(identities));
    proving_ = proving.get();
    transport_ = std::move(proving);
    master_.emplace(Options(), transport_.get(), inbox_.get(), &clock_);
  }

  // As a worker that was given task 1 in this run of the master, and has it still.
  static Envelope HoldingTheFirst() {
    Envelope hello = ScriptedWorker::Hello();
    hello.mutable_hello()->set_previous_epoch(kEpoch);
    protocol::HeldTask& held = *hello.mutable_hello()->add_held();
    held.set_id(1);
    held.set_attempt(1);
    return hello;
  }

  // Tasks that each have a timeout; 0: none.
  void SubmitWithTimeouts(const std::vector<absl::Duration>& timeouts) {
    std::vector<TaskRequest> batch(timeouts.size());
    for (size_t i = 0; i < timeouts.size(); ++i) {
      batch[i].options.timeout = timeouts[i];
      batch[i].work.emplace<FunctionWork>().request = absl::Cord("x");
    }
    ASSERT_TRUE(inbox_->Submit(std::move(batch), reports_).ok());
    Tick();
  }

  // These workers say that they are alive, and nothing else, for so long.
  void Idle(absl::Duration time, const std::vector<ScriptedWorker*>& workers) {
    // Longer steps would look as if this process had stood still.
    constexpr absl::Duration kInterval = absl::Seconds(1);
    for (absl::Duration passed; passed < time; passed += kInterval) {
      Envelope heartbeat;
      heartbeat.mutable_heartbeat()->set_sent_ns(1);
      for (ScriptedWorker* const worker : workers) {
        HearAll(*worker);
        worker->Say(heartbeat);
      }
      clock_.Advance(kInterval);
      Tick();
      Tick();
    }
  }

  ProvingTransport* proving_ = nullptr;
};

constexpr absl::Duration kGrace = absl::Minutes(5);  // MasterOptions::idler_grace
constexpr absl::Duration kLook = absl::Seconds(15);  // that it is seen, and a step of Idle()

TEST_F(IdentityTest, TheSameIdentityTakesUpWhatItHad) {
  StartWith({"ann", "ann"});
  auto worker = Join();
  Submit(1);
  worker->Leave();
  Tick();
  worker = Join(HoldingTheFirst());
  EXPECT_THAT(HearAll(*worker), IsEmpty());
  worker->SayResult(1, {1});
  Tick();
  EXPECT_EQ(reports_->all.size(), 1u);
  EXPECT_EQ(inbox_->Status().refused_claims, 0u);
}

TEST_F(IdentityTest, AnotherIdentityDoesNot) {
  StartWith({"ann", "bob"});
  auto worker = Join();
  Submit(1);
  worker->Leave();
  Tick();
  worker = Join(HoldingTheFirst());
  EXPECT_THAT(HearAll(*worker), ElementsAre("assign 1#2", "cancel 1#1"));
  EXPECT_EQ(inbox_->Status().refused_claims, 1u);
  EXPECT_THAT(log_.back(), HasSubstr("identity \"bob\") says of task 1"));
}

TEST_F(IdentityTest, WhoComesBackTooLateIsAccusedOfNothing) {
  StartWith({"ann", "bob", "ann"});
  auto ann = Join();
  Submit(1);
  ann->Leave();
  auto bob = Join();
  EXPECT_THAT(HearAll(*bob), ElementsAre("assign 1#2"));
  ann = Join(HoldingTheFirst());
  EXPECT_THAT(HearAll(*ann), ElementsAre("cancel 1#1"));
  ann->SayResult(1, {1});
  Tick();
  EXPECT_THAT(reports_->all, IsEmpty());
  EXPECT_EQ(inbox_->Status().refused_claims, 0u);
  EXPECT_THAT(log_.back(), HasSubstr("is lost"));
}

TEST_F(IdentityTest, AResultFromAnotherIdentityIsRefusedAndCounted) {
  StartWith({"ann", "bob"});
  auto ann = Join();
  Submit(1);
  auto bob = Join();
  Submit(1);
  EXPECT_THAT(HearAll(*bob), ElementsAre("assign 2#1"));
  bob->SayResult(1, {1});
  Tick();
  EXPECT_THAT(reports_->all, IsEmpty());
  EXPECT_EQ(inbox_->Status().refused_claims, 1u);
  ann->SayResult(1, {1});
  Tick();
  EXPECT_EQ(reports_->all.size(), 1u);
}

TEST_F(IdentityTest, TheConnectionOfWhoIsRefusedEnds) {
  StartWith({"ann", "bob"});
  auto ann = Join();
  EXPECT_THAT(proving_->disconnected(), IsEmpty());
  ann->SayHello("another program");
  Tick();
  EXPECT_THAT(proving_->disconnected(), ElementsAre(PeerId{1}));
  ann->SayHello();
  Tick();
  EXPECT_EQ(master_->stats().workers, 0u) << "what it says now counts for nothing";
}

TEST_F(IdentityTest, WhoIsAliveAndEndsNoTaskInTheirTimeoutsIsRefused) {
  StartWith({"ann", "bob"});
  auto ann = Join();
  SubmitWithTimeouts({absl::Minutes(1), absl::Minutes(2)});
  auto bob = Join();
  Idle(absl::Minutes(2) + kGrace - kLook, {ann.get(), bob.get()});
  EXPECT_THAT(proving_->disconnected(), IsEmpty());
  Idle(2 * kLook, {ann.get(), bob.get()});
  EXPECT_THAT(proving_->disconnected(), ElementsAre(PeerId{1}));
  EXPECT_THAT(log_.back(), HasSubstr("it has ended none of its tasks for 7m"));
  EXPECT_EQ(master_->stats().in_flight, 2u) << "with bob";
  bob->SayResult(1, {1, 2}, 2);
  Tick();
  EXPECT_EQ(reports_->all.size(), 2u);
}

TEST_F(IdentityTest, WhoEndsATaskNowAndThenIsNotRefused) {
  StartWith({"ann"});
  auto ann = Join();
  SubmitWithTimeouts({absl::Minutes(1), absl::Minutes(1), absl::Minutes(1), absl::Minutes(1)});
  for (uint64_t task = 1; task <= 4; ++task) {
    Idle(absl::Minutes(1) + kGrace - kLook, {ann.get()});
    ann->SayResult(task, {task});
    Tick();
  }
  EXPECT_EQ(reports_->all.size(), 4u);
  Idle(2 * kGrace, {ann.get()});  // with nothing to do
  SubmitWithTimeouts({absl::Minutes(1)});
  Idle(kGrace, {ann.get()});
  EXPECT_THAT(proving_->disconnected(), IsEmpty());
}

TEST_F(IdentityTest, WhoHasATaskWithoutATimeoutMayTakeAsLongAsItLikes) {
  StartWith({"ann", "bob"});
  auto ann = Join();
  SubmitWithTimeouts({absl::Minutes(1), absl::InfiniteDuration()});
  Idle(10 * kGrace, {ann.get()});
  EXPECT_THAT(proving_->disconnected(), IsEmpty());
  ann->SayResult(1, {2});  // but then it has none
  ann->SayResult(2, {1});
  Tick();
  SubmitWithTimeouts({absl::Minutes(1)});
  Idle(absl::Minutes(1) + kGrace + 2 * kLook, {ann.get()});
  EXPECT_THAT(proving_->disconnected(), ElementsAre(PeerId{1}));
}

TEST_F(IdentityTest, WhatAWorkerHoldsOfAnEarlierSessionHasNoTimeoutThatIsKnown) {
  StartWith({"ann", "ann"});
  auto worker = Join();
  SubmitWithTimeouts({absl::Minutes(1)});
  worker->Leave();
  Tick();
  worker = Join(HoldingTheFirst());
  Idle(10 * kGrace, {worker.get()});
  EXPECT_THAT(proving_->disconnected(), IsEmpty());
}

TEST_F(IdentityTest, WorkersThatProveNothingAreTrusted) {
  StartWith({""});
  auto worker = Join();
  SubmitWithTimeouts({absl::Minutes(1)});
  Idle(10 * kGrace, {worker.get()});
  EXPECT_THAT(proving_->disconnected(), IsEmpty());
}

}  // namespace
}  // namespace taskfarm
