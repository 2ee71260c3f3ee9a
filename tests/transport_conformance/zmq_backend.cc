#include "tests/transport_conformance/zmq_backend.h"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <utility>

#include "absl/status/statusor.h"
#include "base/check.h"
#include "keys/keyring.h"
#include "tests/transport_conformance/peer.h"
#include "transport/zmq/curve.h"

namespace taskfarm::conformance {
namespace {

constexpr char kPeerFlag[] = "--peer";

}  // namespace

ZmqBackend::ZmqBackend(TransportFactory factory, std::string master_url,
                       std::vector<std::string> bad_urls)
    : factory_(std::move(factory)),
      master_url_(std::move(master_url)),
      bad_urls_(std::move(bad_urls)) {}

ZmqBackend::~ZmqBackend() {
  if (victim_ != 0) KillPeer();
}

void ZmqBackend::StartPeers(int count, const std::string& url) {
  peers_.Start(count, factory_, url);
}

void ZmqBackend::StartPeerToKill(const std::string& url) {
  std::string program = "/proc/self/exe";
  std::string flag = kPeerFlag;
  std::string argument = url;
  char* const argv[] = {program.data(), flag.data(), argument.data(), nullptr};
  CHECK_EQ(posix_spawn(&victim_, program.c_str(), nullptr, nullptr, argv, environ), 0);
}

void ZmqBackend::KillPeer() {
  CHECK_EQ(kill(victim_, SIGKILL), 0);
  CHECK_EQ(waitpid(victim_, nullptr, 0), victim_);
  victim_ = 0;
}

TransportFactory WithTestKeys(TransportFactory factory, bool encrypt) {
  const char* const folder = std::getenv("TEST_TMPDIR");
  CHECK(folder != nullptr);
  const std::string keys = std::string(folder) + "/keys";
  // A peer may come before its master.
  CHECK_OK(MasterKeys::OpenOrCreate(keys, NewCurvePair).status());
  factory.open = [open = std::move(factory.open), keys, encrypt](TransportOptions options) {
    options.keys = keys;
    options.encrypt = encrypt;
    return open(options);
  };
  return factory;
}

std::optional<int> RunAsZmqPeer(int argc, char** argv, const TransportFactory& factory) {
  if (argc != 3 || std::string(argv[1]) != kPeerFlag) return std::nullopt;
  TransportOptions options = SuiteOptions();
  options.url = argv[2];
  options.role = Role::kWorker;
  absl::StatusOr<OpenedTransport> opened = OpenTransport(options, {factory});
  CHECK_OK(opened);
  Peer peer(*std::move(opened), /*leaves_with_master=*/true);
  RunPeer(peer);
  return 0;
}

}  // namespace taskfarm::conformance
