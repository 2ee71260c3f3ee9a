#ifndef TASKFARM_TRANSPORT_MPI_MPI_TEST_FIXTURE_H_
#define TASKFARM_TRANSPORT_MPI_MPI_TEST_FIXTURE_H_

#include <poll.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "transport/clock.h"
#include "transport/mpi/mpi_transport.h"

// For tests that mpi_transport_test.sh runs under mpiexec, one test a job, because MPI is opened
// once in the life of a process. The name of a suite ends with the number of ranks its tests need.
// Every rank runs the body; is_master() tells who is who.

namespace taskfarm {

inline constexpr absl::Duration kPatience = absl::Seconds(60);
inline constexpr PeerId kMaster{0};

inline Message MakeMessage(const std::vector<std::string>& parts) {
  Message message;
  for (const std::string& part : parts) message.parts.emplace_back(part);
  return message;
}

inline Message MakeMessage(uint64_t number) { return MakeMessage({absl::StrCat(number)}); }

inline uint64_t NumberIn(const Message& message) {
  uint64_t number = ~uint64_t{0};
  if (message.parts.empty() || !absl::SimpleAtoi(std::string(message.parts[0]), &number)) {
    ADD_FAILURE() << "not a number";
  }
  return number;
}

inline double CpuSeconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return absl::ToDoubleSeconds(absl::DurationFromTimeval(usage.ru_utime) +
                               absl::DurationFromTimeval(usage.ru_stime));
}

inline size_t PeakResidentBytes() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<size_t>(usage.ru_maxrss) * 1024;
}

// Something one rank does and another waits for, beside the transport under test: a file that
// appears.
class Gate {
 public:
  explicit Gate(const std::string& name)
      : directory_(std::getenv("TASKFARM_GATES")), path_(absl::StrCat(directory_, "/", name)) {}

  void Open() const { std::ofstream(path_).put('\n'); }

  void AwaitOpen() const {
    const int watch = inotify_init1(IN_CLOEXEC);
    ASSERT_GE(watch, 0);
    ASSERT_GE(inotify_add_watch(watch, directory_.c_str(), IN_CREATE), 0);
    const absl::Time deadline = Clock::Real().Now() + kPatience;
    while (!std::ifstream(path_).is_open()) {
      const absl::Duration left = deadline - Clock::Real().Now();
      pollfd entry = {watch, POLLIN, 0};
      ASSERT_GT(poll(&entry, 1, static_cast<int>(absl::ToInt64Milliseconds(left))), 0) << path_;
      char events[4096];
      ASSERT_GT(read(watch, events, sizeof(events)), 0);
    }
    close(watch);
  }

 private:
  const std::string directory_;
  const std::string path_;
};

class MpiTransportTest : public testing::Test {
 protected:
  void OpenWith(const TransportOptions& options = {.url = "mpi:"}) {
    absl::StatusOr<OpenedTransport> opened = MpiTransportFactory().open(options);
    ASSERT_TRUE(opened.ok()) << opened.status();
    opened_ = *std::move(opened);
  }

  bool is_master() const { return opened_.role == Role::kMaster; }
  Transport& transport() { return *opened_.transport; }

  // The next event, in order. Fails the test if none comes.
  TransportEvent Next(size_t max_events = 7) {
    const absl::Time deadline = Clock::Real().Now() + kPatience;
    while (events_.empty() && Clock::Real().Now() < deadline) {
      std::vector<TransportEvent> polled;
      const absl::Status status =
          transport().Poll(deadline - Clock::Real().Now(), max_events, polled);
      EXPECT_TRUE(status.ok()) << status;
      EXPECT_LE(polled.size(), max_events);
      for (TransportEvent& event : polled) events_.push_back(std::move(event));
    }
    if (events_.empty()) {
      ADD_FAILURE() << "no event in time";
      std::exit(1);  // ends the job
    }
    TransportEvent event = std::move(events_.front());
    events_.pop_front();
    return event;
  }

  template <typename Event>
  Event NextIs(size_t max_events = 7) {
    TransportEvent event = Next(max_events);
    if (Event* wanted = std::get_if<Event>(&event)) return std::move(*wanted);
    ADD_FAILURE() << "an event of kind " << event.index();
    std::exit(1);
  }

  // Waits until all peers are up; keeps what the first of them send meanwhile for Next().
  std::set<PeerId> AwaitPeers() {
    std::set<PeerId> peers;
    std::deque<TransportEvent> others;
    while (peers.size() < static_cast<size_t>(opened_.expected_peers)) {
      TransportEvent event = Next();
      if (const PeerUp* up = std::get_if<PeerUp>(&event)) {
        EXPECT_TRUE(peers.insert(up->peer).second);
      } else {
        others.push_back(std::move(event));
      }
    }
    events_.insert(events_.begin(), std::make_move_iterator(others.begin()),
                   std::make_move_iterator(others.end()));
    return peers;
  }

  void ExpectNoEvent(absl::Duration for_as_long_as) {
    std::vector<TransportEvent> polled;
    EXPECT_TRUE(transport().Poll(for_as_long_as, 10, polled).ok());
    EXPECT_TRUE(polled.empty() && events_.empty());
  }

  void SendNow(PeerId to, Message message) {
    const absl::Status status = transport().Send(to, std::move(message));
    EXPECT_TRUE(status.ok()) << status;
  }

  // Sends, waiting where the window is full; keeps what else comes for Next(). Less patient than
  // Next(), so that the other side's Poll() running out of time is no help.
  void SendPatiently(PeerId to, Message message) {
    while (true) {
      const absl::Status status = transport().Send(to, std::move(message));
      if (status.ok()) return;
      ASSERT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
      bool writable = false;
      const absl::Time deadline = Clock::Real().Now() + kPatience;
      while (!writable) {
        ASSERT_LT(Clock::Real().Now(), deadline);
        std::vector<TransportEvent> polled;
        ASSERT_TRUE(transport().Poll(kPatience / 2, 100, polled).ok());
        for (TransportEvent& event : polled) {
          if (std::holds_alternative<Writable>(event)) {
            EXPECT_EQ(std::get<Writable>(event).peer, to);
            writable = true;
          } else {
            events_.push_back(std::move(event));
          }
        }
      }
    }
  }

  // A worker's end: whatever the master still does, it closes in an orderly way.
  void AwaitMasterDown() {
    const PeerDown down = NextIs<PeerDown>();
    EXPECT_EQ(down.peer, kMaster);
    EXPECT_TRUE(down.reason.ok()) << down.reason;
  }

  void Close() {
    const absl::Status status = transport().Close(kPatience);
    EXPECT_TRUE(status.ok()) << status;
    opened_.transport.reset();
  }

  OpenedTransport opened_;
  std::deque<TransportEvent> events_;
};

}  // namespace taskfarm

#endif  // TASKFARM_TRANSPORT_MPI_MPI_TEST_FIXTURE_H_
