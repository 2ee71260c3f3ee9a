// What a good engineer would write by hand to keep two processes busy with tasks over ZeroMQ: a
// ROUTER that knows its workers by name and DEALERs. It starts its workers itself.

#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "base/check.h"
#include "bench/raw_load.h"

ABSL_FLAG(std::string, endpoint, "tcp://127.0.0.1:*", "where master and workers meet");
ABSL_FLAG(bool, encrypt, false, "encrypt, as taskfarm does by default over tcp");

namespace taskfarm::bench {
namespace {

constexpr int kKeyBytes = 41;

struct KeyPair {
  char open[kKeyBytes];
  char secret[kKeyBytes];
};

KeyPair NewKeys() {
  KeyPair keys;
  CHECK_EQ(zmq_curve_keypair(keys.open, keys.secret), 0);
  return keys;
}

void SetOption(void* socket, int option, const char* text) {
  CHECK_EQ(zmq_setsockopt(socket, option, text, std::strlen(text)), 0);
}

void SetOption(void* socket, int option, int value) {
  CHECK_EQ(zmq_setsockopt(socket, option, &value, sizeof(value)), 0);
}

// What a worker needs to know of its master, through a pipe.
struct Greeting {
  char endpoint[256] = "";
  char master_key[kKeyBytes] = "";
};

[[noreturn]] void RunWorker(int worker, int greetings, uint64_t steps) {
  Greeting greeting;
  CHECK_EQ(read(greetings, &greeting, sizeof(greeting)), static_cast<ssize_t>(sizeof(greeting)));
  void* const context = zmq_ctx_new();
  void* const socket = zmq_socket(context, ZMQ_DEALER);
  SetOption(socket, ZMQ_LINGER, 0);
  const char name = static_cast<char>('1' + worker);
  CHECK_EQ(zmq_setsockopt(socket, ZMQ_ROUTING_ID, &name, 1), 0);
  if (absl::GetFlag(FLAGS_encrypt)) {
    const KeyPair keys = NewKeys();
    SetOption(socket, ZMQ_CURVE_SERVERKEY, greeting.master_key);
    SetOption(socket, ZMQ_CURVE_PUBLICKEY, keys.open);
    SetOption(socket, ZMQ_CURVE_SECRETKEY, keys.secret);
  }
  CHECK_EQ(zmq_connect(socket, greeting.endpoint), 0);
  CHECK_EQ(zmq_send(socket, "", 0, 0), 0);  // here I am
  uint64_t number = 0;
  while (zmq_recv(socket, &number, sizeof(number), 0) == sizeof(number)) {
    number = Work(number, steps);
    CHECK_EQ(zmq_send(socket, &number, sizeof(number), 0), static_cast<int>(sizeof(number)));
  }
  _exit(0);
}

class Farm : public RawFarm {
 public:
  // Before anything else is started: it forks.
  explicit Farm(uint64_t steps) {
    std::array<int, kRawWorkers> pipes;
    for (int worker = 0; worker < kRawWorkers; ++worker) {
      int ends[2];
      CHECK_EQ(pipe(ends), 0);
      const pid_t process = fork();
      CHECK(process >= 0);
      if (process == 0) RunWorker(worker, ends[0], steps);
      processes_.insert(process);
      pipes[worker] = ends[1];
    }
    Greeting greeting;
    Bind(greeting);
    for (const int pipe : pipes) {
      CHECK_EQ(write(pipe, &greeting, sizeof(greeting)), static_cast<ssize_t>(sizeof(greeting)));
    }
    for (int worker = 0; worker < kRawWorkers; ++worker) ReceiveFrom(nullptr, 0);
  }
  // An empty message ends a worker.
  ~Farm() override {
    for (int worker = 0; worker < kRawWorkers; ++worker) SendTo(worker, nullptr, 0);
    for (const pid_t process : processes_) waitpid(process, nullptr, 0);
    zmq_close(socket_);
    zmq_ctx_term(context_);
  }

  const std::set<pid_t>& processes() const { return processes_; }

  void Send(int worker, uint64_t number) override { SendTo(worker, &number, sizeof(number)); }

  RawResult Receive() override {
    RawResult result;
    result.worker = ReceiveFrom(&result.number, sizeof(result.number));
    return result;
  }

 private:
  void Bind(Greeting& greeting) {
    context_ = zmq_ctx_new();
    socket_ = zmq_socket(context_, ZMQ_ROUTER);
    SetOption(socket_, ZMQ_LINGER, 0);
    SetOption(socket_, ZMQ_ROUTER_MANDATORY, 1);
    if (absl::GetFlag(FLAGS_encrypt)) {
      const KeyPair keys = NewKeys();
      SetOption(socket_, ZMQ_CURVE_SERVER, 1);
      SetOption(socket_, ZMQ_CURVE_SECRETKEY, keys.secret);
      std::memcpy(greeting.master_key, keys.open, kKeyBytes);
    }
    CHECK_EQ(zmq_bind(socket_, absl::GetFlag(FLAGS_endpoint).c_str()), 0);
    size_t size = sizeof(greeting.endpoint);
    CHECK_EQ(zmq_getsockopt(socket_, ZMQ_LAST_ENDPOINT, greeting.endpoint, &size), 0);
  }

  void SendTo(int worker, const void* bytes, size_t size) {
    const char name = static_cast<char>('1' + worker);
    CHECK_EQ(zmq_send(socket_, &name, 1, ZMQ_SNDMORE), 1);
    CHECK_EQ(zmq_send(socket_, bytes, size, 0), static_cast<int>(size));
  }

  // The worker from which a message of this size came.
  int ReceiveFrom(void* bytes, size_t size) {
    char name = 0;
    CHECK_EQ(zmq_recv(socket_, &name, 1, 0), 1);
    CHECK_EQ(zmq_recv(socket_, bytes, size, 0), static_cast<int>(size));
    return name - '1';
  }

  void* context_ = nullptr;
  void* socket_ = nullptr;
  std::set<pid_t> processes_;
};

}  // namespace
}  // namespace taskfarm::bench

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  const taskfarm::bench::RawTask task;
  taskfarm::bench::Farm farm(task.steps());
  task.Measure(farm, farm.processes());
}
