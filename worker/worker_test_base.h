#ifndef TASKFARM_WORKER_WORKER_TEST_BASE_H_
#define TASKFARM_WORKER_WORKER_TEST_BASE_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "transport/inproc/inproc_network.h"
#include "transport/inproc/inproc_transport.h"
#include "transport/manual_clock.h"
#include "transport/open_transport.h"
#include "worker/executor_double.h"
#include "worker/master_double.h"
#include "worker/worker.h"

namespace taskfarm {

inline protocol::Envelope Recall(uint64_t recall_id, const std::vector<uint64_t>& tasks) {
  protocol::Envelope envelope;
  envelope.mutable_recall()->set_recall_id(recall_id);
  for (const uint64_t task : tasks) {
    protocol::TaskRef& ref = *envelope.mutable_recall()->add_tasks();
    ref.set_id(task);
    ref.set_attempt(1);
  }
  return envelope;
}

// A worker on an inproc transport that the test turns by hand, on virtual time.
class WorkerTestBase : public testing::Test {
 protected:
  void Open() {
    absl::StatusOr<OpenedTransport> opened =
        OpenTransport(transport_options_, {InprocTransportFactory(network_)});
    CHECK_OK(opened);
    transport_ = std::move(opened->transport);
    WorkerOptions worker_options;
    worker_options.slots = 2;
    worker_options.hostname = "here";
    worker_options.pid = 12;
    worker_options.program_digest = "d1";
    worker_options.functions = {"Echo(A) -> A"};
    worker_options.log = [this](absl::string_view text) { log_.emplace_back(text); };
    worker_options.on_welcome = [this](WorkerId worker) {
      log_.push_back(absl::StrCat("welcome ", Value(worker)));
    };
    worker_.emplace(worker_options, transport_.get(), &executor_, &clock_);
  }

  // Opens, and joins `master_`.
  void Join() {
    Open();
    EXPECT_TRUE(Tick());
    EXPECT_THAT(master_->Hear(), testing::ElementsAre("up", "hello"));
    master_->SayWelcome();
    EXPECT_TRUE(Tick());
    EXPECT_THAT(master_->Hear(), testing::IsEmpty());
    log_.clear();
  }

  bool Tick() {
    const bool more = worker_->Tick(absl::ZeroDuration());
    worker_->CheckInvariants();
    return more;
  }

  std::shared_ptr<InprocNetwork> network_ = std::make_shared<InprocNetwork>();
  ManualClock clock_;
  ExecutorDouble executor_{clock_};
  std::vector<std::string> log_;
  std::optional<MasterDouble> master_{network_};
  TransportOptions transport_options_ = {.url = "inproc:", .role = Role::kWorker};
  std::unique_ptr<Transport> transport_;
  std::optional<Worker> worker_;
};

}  // namespace taskfarm

#endif  // TASKFARM_WORKER_WORKER_TEST_BASE_H_
