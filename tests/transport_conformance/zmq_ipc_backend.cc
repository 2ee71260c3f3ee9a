#include <stdlib.h>

#include <filesystem>

#include "base/check.h"
#include "tests/transport_conformance/zmq_backend.h"
#include "transport/zmq/zmq_transport.h"

namespace taskfarm::conformance {
namespace {

// Short, unlike most test directories: a socket's path has at most 107 bytes.
class ShortDirectory {
 public:
  ShortDirectory() { CHECK(mkdtemp(path_) != nullptr); }
  ~ShortDirectory() { std::filesystem::remove_all(path_); }
  std::string path() const { return path_; }

 private:
  char path_[40] = "/tmp/conformance_XXXXXX";
};

class ZmqIpcBackend final : private ShortDirectory, public ZmqBackend {
 public:
  ZmqIpcBackend()
      : ZmqBackend(WithTestKeys(ZmqIpcTransportFactory()), "zmq+ipc://" + path() + "/farm",
                   {"zmq+ipc:", "zmq+ipc://", "zmq+ipc:/tmp/x",
                    "zmq+ipc:///tmp/" + std::string(200, 'x')}) {}
};

}  // namespace

std::unique_ptr<Backend> MakeBackend() { return std::make_unique<ZmqIpcBackend>(); }

std::optional<int> RunAsPeer(int argc, char** argv) {
  return RunAsZmqPeer(argc, argv, WithTestKeys(ZmqIpcTransportFactory()));
}

}  // namespace taskfarm::conformance
