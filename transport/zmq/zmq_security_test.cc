// Who is let in, who is not, and what those are told.

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "gtest/gtest.h"
#include "keys/identities.h"
#include "keys/keyring.h"
#include "transport/clock.h"
#include "transport/zmq/curve.h"
#include "transport/zmq/test_end.h"
#include "transport/zmq/url.h"

namespace taskfarm::zmq_backend {
namespace {

// A user's keys, and workers' files beside them.
class Keys {
 public:
  Keys() : master_(MasterKeys::OpenOrCreate(directory(), NewCurvePair).value()) {}

  std::string directory() const { return folder_.Path("keys"); }

  // The file of a new identity.
  std::string Add(const std::string& name) {
    const std::string file = folder_.Path(name + ".key");
    std::filesystem::remove(file);
    CHECK_OK(AddIdentity(*master_, name, file, NewCurvePair));
    return file;
  }
  void Revoke(const std::string& name) { CHECK_OK(RevokeIdentity(directory(), name)); }

 private:
  const ShortDirectory folder_;
  const std::unique_ptr<MasterKeys> master_;
};

std::unique_ptr<End> Master(const std::string& keys, const std::string& url = "zmq://127.0.0.1:0") {
  return std::make_unique<End>(TransportOptions{.url = url, .role = Role::kMaster, .keys = keys});
}

TransportOptions WorkerOf(const End& master, const std::string& keys) {
  return {.url = master.url(), .role = Role::kWorker, .keys = keys};
}

// How a worker with these options ends; OK if it comes up instead.
absl::Status EndOf(End* master, const TransportOptions& options) {
  absl::StatusOr<OpenedTransport> opened = OpenZmq(options);
  if (!opened.ok()) return opened.status();
  const absl::Time deadline = Clock::Real().Now() + kPatience;
  std::vector<TransportEvent> events;
  while (events.empty()) {
    if (Clock::Real().Now() > deadline) return absl::DeadlineExceededError("neither up nor ended");
    const absl::Status status = opened->transport->Poll(absl::Milliseconds(5), 10, events);
    if (!status.ok()) {
      // And so it stays.
      EXPECT_EQ(opened->transport->Poll(kPatience, 10, events), status);
      return status;
    }
    if (master != nullptr) master->Turn(absl::ZeroDuration());
  }
  return absl::OkStatus();
}

TEST(ZmqSecurityTest, PeersAreKnownByTheirKeys) {
  Keys keys;
  const auto master = Master(keys.directory());
  Joined own = Join(*master, WorkerOf(*master, keys.directory()));
  Joined anna = Join(*master, WorkerOf(*master, keys.Add("anna")));
  EXPECT_EQ(master->identities[own.id], "owner");
  EXPECT_EQ(master->identities[anna.id], "anna");
  EXPECT_TRUE(Echoes(*master, own));
  EXPECT_TRUE(Echoes(*master, anna));
}

TEST(ZmqSecurityTest, WithoutEncryptionOrOverAUnixSocketNobodyIsAnybody) {
  const ShortDirectory folder;
  for (const std::string& url :
       {std::string("zmq://127.0.0.1:0"), "zmq+ipc://" + folder.Path("x")}) {
    End master({.url = url, .role = Role::kMaster, .encrypt = false});
    Joined worker = Join(master, {.url = master.url(), .role = Role::kWorker, .encrypt = false});
    EXPECT_EQ(master.identities[worker.id], "");
  }
}

TEST(ZmqSecurityTest, AKeyThatIsNotOnTheListIsRefused) {
  Keys keys;
  std::vector<std::string> said;
  End master({.url = "zmq://127.0.0.1:0",
              .role = Role::kMaster,
              .keys = keys.directory(),
              .log = [&said](absl::string_view line) { said.emplace_back(line); }});
  const std::string file = keys.Add("anna");
  keys.Revoke("anna");
  const absl::Status status = EndOf(&master, WorkerOf(master, file));
  EXPECT_EQ(status, absl::PermissionDeniedError(absl::StrCat("the master at ", master.url(),
                                                             " does not let this worker in: "
                                                             "key 'anna' of ",
                                                             file, " is not on its list")));
  EXPECT_TRUE(master.ups.empty());
  EXPECT_TRUE(master.transport().Close(absl::ZeroDuration()).ok());
  EXPECT_EQ(said,
            std::vector<std::string>{"refused a worker at 127.0.0.1: its key is not on the list"});
}

TEST(ZmqSecurityTest, AMasterWithAnotherKeyIsRefused) {
  Keys keys;
  Keys others;
  const auto master = Master(others.directory());
  const std::string file = keys.Add("anna");
  const absl::Status status = EndOf(master.get(), WorkerOf(*master, file));
  EXPECT_EQ(status,
            absl::PermissionDeniedError(absl::StrCat("the master at ", master->url(),
                                                     " has another key than ", file, " expects")));
  EXPECT_TRUE(master->ups.empty());
  EXPECT_EQ(EndOf(master.get(), WorkerOf(*master, keys.directory())),
            absl::PermissionDeniedError(absl::StrCat("the master at ", master->url(),
                                                     " has another key than ", keys.directory(),
                                                     "/worker.key expects")));
}

// Whichever side notices first.
TEST(ZmqSecurityTest, EncryptionIsWantedByBothSidesOrNone) {
  Keys keys;
  for (int i = 0; i < 10; ++i) {
    End plain({.url = "zmq://127.0.0.1:0", .role = Role::kMaster, .encrypt = false});
    EXPECT_EQ(EndOf(&plain, WorkerOf(plain, keys.directory())),
              absl::PermissionDeniedError(absl::StrCat(
                  "the master at ", plain.url(),
                  " has no encryption: it was started with --insecure_no_encryption")));
    EXPECT_TRUE(plain.ups.empty());
    const auto master = Master(keys.directory());
    EXPECT_EQ(EndOf(master.get(), {.url = master->url(), .role = Role::kWorker, .encrypt = false}),
              absl::PermissionDeniedError(
                  absl::StrCat("the master at ", master->url(),
                               " wants encryption: leave --insecure_no_encryption away")));
    EXPECT_TRUE(master->ups.empty());
  }
}

TEST(ZmqSecurityTest, AWorkerWithoutAKeyIsNotEvenOpened) {
  const ShortDirectory folder;
  const absl::Status status =
      EndOf(nullptr,
            {.url = "zmq://127.0.0.1:5555", .role = Role::kWorker, .keys = folder.Path("nothing")});
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound) << status;
  EXPECT_FALSE(std::filesystem::exists(folder.Path("nothing")));
}

TEST(ZmqSecurityTest, AMasterSaysThatItMadeKeys) {
  const ShortDirectory folder;
  std::vector<std::string> said;
  for (int i = 0; i < 2; ++i) {
    End master({.url = "zmq://127.0.0.1:0",
                .role = Role::kMaster,
                .keys = folder.Path("keys"),
                .log = [&said](absl::string_view line) { said.emplace_back(line); }});
    EXPECT_EQ(said.size(), 1u);
  }
  EXPECT_TRUE(absl::StartsWith(said[0], absl::StrCat("made keys in ", folder.Path("keys"))));
}

TEST(ZmqSecurityTest, ARevokedWorkerIsCutAndNotLetInAgain) {
  Keys keys;
  const auto master = Master(keys.directory());
  Joined anna = Join(*master, WorkerOf(*master, keys.Add("anna")));
  Joined bert = Join(*master, WorkerOf(*master, keys.Add("bert")));
  // It is up on its side, and has not said anything.
  End silent(WorkerOf(*master, keys.Add("chris")));
  ASSERT_TRUE(TurnUntil({master.get(), &silent}, [&] { return !silent.ups.empty(); }));

  keys.Revoke("anna");
  keys.Revoke("chris");
  const absl::Time revoked = Clock::Real().Now();
  ASSERT_TRUE(TurnUntil({master.get()}, [&] { return master->IsDown(anna.id); }));
  EXPECT_EQ(master->downs[anna.id], absl::PermissionDeniedError("its key was revoked"));
  EXPECT_LT(Clock::Real().Now() - revoked, absl::Seconds(5));
  ASSERT_TRUE(silent.Send(PeerId{1}, "hello").ok());
  for (End* const end : {anna.end.get(), &silent}) {
    std::vector<TransportEvent> events;
    absl::Status status;
    while ((status = end->transport().Poll(absl::Milliseconds(5), 10, events)).ok()) {
      master->Turn(absl::ZeroDuration());
    }
    EXPECT_TRUE(absl::StrContains(status.message(), "is not on its list")) << status;
  }
  EXPECT_TRUE(Echoes(*master, bert));
  EXPECT_EQ(master->ups.size(), 2u);

  Joined again = Join(*master, WorkerOf(*master, keys.Add("anna")));
  EXPECT_TRUE(Echoes(*master, again));
}

TEST(ZmqSecurityTest, ThreeMastersOneAfterTheOtherWithTheSameKeys) {
  Keys keys;
  auto master = Master(keys.directory());
  const std::string url = master->url();
  Joined worker = Join(*master, WorkerOf(*master, keys.directory()));
  End& end = *worker.end;
  for (size_t round = 2; round <= 4; ++round) {
    master.reset();
    master = Master(keys.directory(), url);
    ASSERT_TRUE(TurnUntil({master.get(), &end}, [&] { return end.ups.size() == round; }));
  }
}

// A port that speaks some ZeroMQ, or none.
class Listener {
 public:
  Listener() {
    const int yes = 1;
    setsockopt(descriptor_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK_EQ(bind(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    CHECK_EQ(listen(descriptor_, 10), 0);
    socklen_t size = sizeof(address);
    getsockname(descriptor_, reinterpret_cast<sockaddr*>(&address), &size);
    url_ = absl::StrCat("zmq://127.0.0.1:", ntohs(address.sin_port));
  }
  ~Listener() { close(descriptor_); }

  const std::string& url() const { return url_; }

  // Sends the next connection that comes, if one does within 5 ms, these bytes, and closes it when
  // it has answered.
  bool AnswerOne(absl::string_view bytes) {
    pollfd entry = {descriptor_, POLLIN, 0};
    if (poll(&entry, 1, 5) == 0) return false;
    const int connection = accept(descriptor_, nullptr, nullptr);
    CHECK_GE(connection, 0);
    (void)send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    char ignored[64];
    pollfd answer = {connection, POLLIN, 0};
    poll(&answer, 1, 1000);
    (void)recv(connection, ignored, sizeof(ignored), MSG_DONTWAIT);
    close(connection);
    return true;
  }

 private:
  const int descriptor_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  std::string url_;
};

std::string Greeting(absl::string_view mechanism) {
  std::string greeting("\xff\0\0\0\0\0\0\0\1\x7f\3\0", 12);
  absl::StrAppend(&greeting, mechanism);
  greeting.resize(64);
  return greeting;
}

// A tunnel to a master that is not there yet accepts, and closes.
TEST(ZmqSecurityTest, APortWithNothingBehindItIsNotARefusal) {
  Keys keys;
  Listener tunnel;
  End worker({.url = tunnel.url(), .role = Role::kWorker, .keys = keys.directory()});
  for (int answered = 0; answered < 10;) {
    worker.Turn(absl::ZeroDuration());  // which CHECKs that it goes on
    answered += tunnel.AnswerOne("") ? 1 : 0;
  }
}

// A master that is killed in the middle of a handshake, and comes again.
TEST(ZmqSecurityTest, AHandshakeThatIsCutIsNotARefusal) {
  Keys keys;
  auto dying = std::make_unique<Listener>();
  const std::string url = dying->url();
  End worker({.url = url, .role = Role::kWorker, .keys = keys.directory()});
  while (!dying->AnswerOne(Greeting("CURVE"))) worker.Turn(absl::ZeroDuration());
  worker.Turn(absl::Milliseconds(1));
  dying.reset();
  worker.Turn(absl::Milliseconds(500));
  const auto master = Master(keys.directory(), url);
  EXPECT_TRUE(TurnUntil({master.get(), &worker}, [&] { return !worker.ups.empty(); }));
}

// With all that a master does to be sure that it is not open to strangers.
TEST(ZmqSecurityTest, AMasterOpensWithoutDelay) {
  Keys keys;
  absl::Duration best = absl::InfiniteDuration();
  for (int i = 0; i < 10; ++i) {
    const absl::Time start = Clock::Real().Now();
    const auto master = Master(keys.directory());
    best = std::min(best, Clock::Real().Now() - start);
  }
  RecordProperty("open_microseconds", static_cast<int>(absl::ToInt64Microseconds(best)));
  EXPECT_LT(best, absl::Milliseconds(500));
}

TEST(ZmqSecurityTest, LettingGoOfAPeerThatHangsUpByItself) {
  Keys keys;
  const auto master = Master(keys.directory());
  Joined worker = Join(*master, WorkerOf(*master, keys.directory()));
  Joined other = Join(*master, WorkerOf(*master, keys.directory()));
  ASSERT_TRUE(master->Send(worker.id, "refused").ok());
  master->transport().Disconnect(worker.id);
  EXPECT_EQ(master->Send(worker.id, "x").code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(
      TurnUntil({master.get(), worker.end.get()}, [&] { return !worker.end->messages.empty(); }));
  EXPECT_EQ(worker.end->TakeText(), "refused");
  ASSERT_TRUE(worker.end->Send(PeerId{1}, "not heard").ok());
  // Its goodbye is answered.
  absl::Status closed = absl::UnknownError("not yet");
  std::thread closer([&] { closed = worker.end->transport().Close(kPatience); });
  EXPECT_TRUE(Echoes(*master, other));
  ASSERT_TRUE(TurnUntil({master.get()}, [&, last = Clock::Real().Now() + absl::Seconds(2)] {
    return Clock::Real().Now() > last;
  }));
  closer.join();
  EXPECT_TRUE(closed.ok()) << closed;
  EXPECT_TRUE(Echoes(*master, other));
  EXPECT_TRUE(master->messages.empty());
  EXPECT_EQ(master->ups.size(), 2u);
}

TEST(ZmqSecurityTest, LettingGoOfAPeerThatStays) {
  Keys keys;
  const auto master = Master(keys.directory());
  Joined worker = Join(*master, WorkerOf(*master, keys.directory()));
  ASSERT_TRUE(master->Send(worker.id, "refused").ok());
  const absl::Time start = Clock::Real().Now();
  master->transport().Disconnect(worker.id);
  master->transport().Disconnect(worker.id);
  master->transport().Disconnect(PeerId{77});
  End& end = *worker.end;
  while (!end.IsDown(PeerId{1})) {
    ASSERT_LT(Clock::Real().Now() - start, kPatience);
    end.Send(PeerId{1}, "not heard").IgnoreError();
    master->Turn(absl::Milliseconds(1));
    end.Turn(absl::Milliseconds(1));
  }
  EXPECT_GT(Clock::Real().Now() - start, absl::Milliseconds(900));
  EXPECT_LT(Clock::Real().Now() - start, absl::Seconds(20));
  EXPECT_EQ(end.TakeText(), "refused");
  EXPECT_TRUE(master->messages.empty());
  // It may come again, as somebody else.
  ASSERT_TRUE(TurnUntil({master.get(), &end}, [&] { return end.ups.size() == 2; }));
}

}  // namespace
}  // namespace taskfarm::zmq_backend
