#ifndef TASKFARM_MASTER_MASTER_TEST_BASE_H_
#define TASKFARM_MASTER_MASTER_TEST_BASE_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "master/master.h"
#include "protocol/codec.h"
#include "transport/inproc/inproc_transport.h"
#include "transport/manual_clock.h"
#include "transport/open_transport.h"

namespace taskfarm {

using protocol::Envelope;

inline constexpr uint64_t kEpoch = 77;
inline constexpr absl::Duration kNoWait = absl::ZeroDuration();

inline std::unique_ptr<Transport> OpenInproc(const TransportFactory& factory, Role role) {
  TransportOptions options;
  options.url = "inproc:";
  options.role = role;
  options.send_window_messages = 4;
  return std::move(factory.open(options)->transport);
}

// A worker whose every word the test says.
class ScriptedWorker {
 public:
  explicit ScriptedWorker(const TransportFactory& factory)
      : transport_(OpenInproc(factory, Role::kWorker)) {}

  void Say(Envelope envelope) {
    if (!envelope.has_hello()) envelope.set_epoch(kEpoch);
    SayRaw(EncodeEnvelope(envelope, Message()));
  }
  void SayRaw(Message message) {
    if (!master_.has_value()) Read();
    ASSERT_TRUE(transport_->Send(master_.value(), std::move(message)).ok());
  }
  void SayHello(const std::string& digest = "digest") {
    Envelope envelope = Hello();
    envelope.mutable_hello()->set_program_digest(digest);
    Say(envelope);
  }
  static Envelope Hello() {
    Envelope envelope;
    envelope.mutable_hello()->set_program_digest("digest");
    envelope.mutable_hello()->add_functions("F(A) -> B");
    envelope.mutable_hello()->set_slots(2);
    envelope.mutable_hello()->set_hostname("host");
    envelope.mutable_hello()->set_pid(5);
    return envelope;
  }
  void SayResult(uint64_t sequence, const std::vector<uint64_t>& tasks, uint32_t attempt = 1) {
    Envelope envelope;
    envelope.mutable_result()->set_sequence(sequence);
    for (const uint64_t task : tasks) {
      protocol::TaskResult& result = *envelope.mutable_result()->add_results();
      result.set_id(task);
      result.set_attempt(attempt);
      result.set_outcome(protocol::OK);
      result.set_reply(absl::StrCat("reply ", task));
    }
    Say(envelope);
  }

  // The next message the master sent; nothing if there is none.
  std::optional<Envelope> Hear() {
    if (heard_.empty()) Read();
    if (heard_.empty()) return std::nullopt;
    Envelope next = std::move(heard_.front());
    heard_.erase(heard_.begin());
    return next;
  }

  void Leave() { transport_->Close(kNoWait).IgnoreError(); }

 private:
  void Read() {
    std::vector<TransportEvent> events;
    ASSERT_TRUE(transport_->Poll(kNoWait, 100, events).ok());
    for (TransportEvent& event : events) {
      if (auto* up = std::get_if<PeerUp>(&event)) master_ = up->peer;
      auto* received = std::get_if<Received>(&event);
      if (received == nullptr) continue;
      google::protobuf::Arena arena;
      const absl::StatusOr<Envelope*> envelope = DecodeEnvelope(received->message, arena);
      ASSERT_TRUE(envelope.ok()) << envelope.status();
      heard_.push_back(**envelope);
    }
  }

  std::unique_ptr<Transport> transport_;
  std::optional<PeerId> master_;
  std::vector<Envelope> heard_;
};

// What the master has said to the worker: "assign 1#1 2#1", "cancel 1#1", "ack 3", or else as it
// is.
inline std::vector<std::string> HearAll(ScriptedWorker& worker) {
  std::vector<std::string> texts;
  while (const std::optional<Envelope> envelope = worker.Hear()) {
    if (envelope->assign().acked() != 0) {
      texts.push_back(absl::StrCat("ack ", envelope->assign().acked()));
    }
    std::string text = envelope->has_assign()   ? "assign"
                       : envelope->has_cancel() ? "cancel"
                       : envelope->has_result_ack()
                           ? absl::StrCat("ack ", envelope->result_ack().sequence())
                           : envelope->ShortDebugString();
    for (const auto& task : envelope->assign().tasks()) {
      absl::StrAppend(&text, " ", task.id(), "#", task.attempt());
    }
    for (const auto& task : envelope->cancel().tasks()) {
      absl::StrAppend(&text, " ", task.id(), "#", task.attempt());
    }
    texts.push_back(std::move(text));
  }
  return texts;
}

class Reports : public ReportSink {
 public:
  void Completed(std::vector<TaskReport>&& reports) override {
    ++calls;
    for (TaskReport& report : reports) all.push_back(std::move(report));
  }
  int calls = 0;
  std::vector<TaskReport> all;
};

// A master on an inproc transport that the test turns by hand, on virtual time.
class MasterTestBase : public testing::Test {
 protected:
  explicit MasterTestBase(std::function<void(MasterOptions&)> change = nullptr)
      : change_(std::move(change)) {
    Start();
  }

  // A master that knows nothing of the one before, where that one was; workers come anew.
  void Start() {
    master_.reset();
    transport_.reset();
    factory_ = InprocTransportFactory(std::make_shared<InprocNetwork>());
    transport_ = OpenInproc(factory_, Role::kMaster);
    TaskInboxOptions inbox_options;
    inbox_options.functions = 1;
    inbox_ = std::make_unique<TaskInbox>(inbox_options);
    MasterOptions options = Options();
    if (change_) change_(options);
    master_.emplace(options, transport_.get(), inbox_.get(), &clock_);
  }

  MasterOptions Options() {
    MasterOptions options;
    options.epoch = kEpoch;
    options.program_digest = "digest";
    options.functions = {"F(A) -> B"};
    options.max_workers = 3;
    options.close_grace = absl::Seconds(5);
    options.log = [this](absl::string_view line) { log_.emplace_back(line); };
    return options;
  }

  bool Tick() {
    const bool alive = master_->Tick(kNoWait);
    master_->CheckInvariants();
    return alive;
  }

  // What is acknowledged goes with the next tasks, or alone after this.
  void WaitForAcks() {
    clock_.Advance(absl::Milliseconds(10));
    Tick();
  }

  std::unique_ptr<ScriptedWorker> Join(const Envelope& hello = ScriptedWorker::Hello()) {
    auto worker = std::make_unique<ScriptedWorker>(factory_);
    Tick();
    worker->Say(hello);
    Tick();
    const std::optional<Envelope> welcome = worker->Hear();
    EXPECT_TRUE(welcome.has_value() && welcome->has_welcome());
    EXPECT_EQ(welcome->epoch(), kEpoch);
    return worker;
  }

  // Tasks with `request`, known by their ids "1", "2" ... to a journal.
  void Submit(int count, absl::string_view request = "x") {
    std::vector<TaskRequest> batch(count);
    for (int i = 0; i < count; ++i) {
      batch[i].tag = i;
      batch[i].options.id = absl::StrCat(i + 1);
      batch[i].work.emplace<FunctionWork>().request = absl::Cord(request);
    }
    ASSERT_TRUE(inbox_->Submit(std::move(batch), reports_).ok());
    Tick();
  }

  const std::function<void(MasterOptions&)> change_;
  ManualClock clock_;
  std::vector<std::string> log_;
  TransportFactory factory_;
  std::unique_ptr<Transport> transport_;
  std::unique_ptr<TaskInbox> inbox_;
  std::optional<Master> master_;
  std::shared_ptr<Reports> reports_ = std::make_shared<Reports>();
};

}  // namespace taskfarm

#endif  // TASKFARM_MASTER_MASTER_TEST_BASE_H_
