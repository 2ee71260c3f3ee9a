// Two processes with a DEALER socket each, one message a task, nothing copied that libzmq does not
// copy itself: what taskfarm on ZeroMQ is compared with.

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "bench/raw_loop.h"
#include "bench/results.h"
#include "zmq.h"

ABSL_FLAG(std::string, endpoint, "tcp://127.0.0.1:*", "where the two meet");
ABSL_FLAG(bool, encrypt, false, "with CURVE");

namespace taskfarm::bench {
namespace {

void Must(bool done, const char* what) {
  if (done) return;
  std::cerr << what << ": " << zmq_strerror(zmq_errno()) << std::endl;
  std::_Exit(3);
}

struct Pair {
  std::array<char, 41> public_key;
  std::array<char, 41> secret_key;
};

Pair NewPair() {
  Pair pair;
  Must(zmq_curve_keypair(pair.public_key.data(), pair.secret_key.data()) == 0, "keys");
  return pair;
}

void SetKey(void* socket, int option, const std::array<char, 41>& key) {
  Must(zmq_setsockopt(socket, option, key.data(), key.size()) == 0, "key");
}

class Message {
 public:
  Message() { zmq_msg_init(&message_); }
  ~Message() { zmq_msg_close(&message_); }
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;

  // Sends `bytes`, which stay where they are until libzmq is done with them.
  static void SendInPlace(void* socket, std::string& bytes) {
    zmq_msg_t message;
    Must(zmq_msg_init_data(&message, bytes.data(), bytes.size(), nullptr, nullptr) == 0, "message");
    Must(zmq_msg_send(&message, socket, 0) >= 0, "send");
  }

  char* data() { return static_cast<char*>(zmq_msg_data(&message_)); }
  size_t size() { return zmq_msg_size(&message_); }
  void Receive(void* socket) { Must(zmq_msg_recv(&message_, socket, 0) >= 0, "receive"); }
  void Send(void* socket) { Must(zmq_msg_send(&message_, socket, 0) >= 0, "send"); }

 private:
  zmq_msg_t message_;
};

class SocketLink : public RawLink {
 public:
  SocketLink(void* socket, const RawOptions& options) : socket_(socket) {
    if (options.mode == "payload") blocks_ = MakeBlocks(options.bytes);
  }

  void Send(uint64_t number) override {
    if (!blocks_.empty()) {
      Message::SendInPlace(socket_, blocks_[number % blocks_.size()]);
    } else {
      Must(zmq_send(socket_, &number, sizeof(number), 0) >= 0, "send");
    }
  }

  std::string_view Receive() override {
    reply_.Receive(socket_);
    return {reply_.data(), reply_.size()};
  }

 private:
  void* const socket_;
  std::vector<std::string> blocks_;
  Message reply_;
};

// Returns each message with its number changed, until one is empty.
void Serve(int endpoint_pipe, const Pair* master_keys) {
  std::array<char, 256> endpoint{};
  Must(read(endpoint_pipe, endpoint.data(), endpoint.size() - 1) > 0, "endpoint");
  void* const context = zmq_ctx_new();
  void* const socket = zmq_socket(context, ZMQ_DEALER);
  if (master_keys != nullptr) {
    const Pair own = NewPair();
    SetKey(socket, ZMQ_CURVE_SERVERKEY, master_keys->public_key);
    SetKey(socket, ZMQ_CURVE_PUBLICKEY, own.public_key);
    SetKey(socket, ZMQ_CURVE_SECRETKEY, own.secret_key);
  }
  Must(zmq_connect(socket, endpoint.data()) == 0, "connect");
  Message message;
  while (true) {
    message.Receive(socket);
    if (message.size() == 0) break;
    SetNumber(ResultOf(NumberIn({message.data(), message.size()})), message.data());
    message.Send(socket);
  }
  zmq_close(socket);
  zmq_ctx_term(context);
}

void TellEndpoint(void* socket, int endpoint_pipe) {
  std::array<char, 256> endpoint{};
  size_t size = endpoint.size();
  Must(zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, endpoint.data(), &size) == 0, "endpoint");
  Must(write(endpoint_pipe, endpoint.data(), size) == static_cast<ssize_t>(size), "endpoint");
}

void Lead(const RawOptions& options, int endpoint_pipe, const Pair* keys, pid_t worker) {
  void* const context = zmq_ctx_new();
  void* const socket = zmq_socket(context, ZMQ_DEALER);
  if (keys != nullptr) {
    const int yes = 1;
    Must(zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &yes, sizeof(yes)) == 0, "server");
    SetKey(socket, ZMQ_CURVE_SECRETKEY, keys->secret_key);
  }
  Must(zmq_bind(socket, absl::GetFlag(FLAGS_endpoint).c_str()) == 0, "bind");
  TellEndpoint(socket, endpoint_pipe);
  {
    SocketLink link(socket, options);
    MeasureRawLoop(options, link, worker);
    Must(zmq_send(socket, "", 0, 0) == 0, "send");
    Must(waitpid(worker, nullptr, 0) == worker, "wait");
  }
  zmq_close(socket);
  zmq_ctx_term(context);
}

int Main(int argc, char** argv) {
  const RawOptions options = ParseRawOptions(argc, argv);
  const bool encrypt = absl::GetFlag(FLAGS_encrypt);
  const Pair keys = encrypt ? NewPair() : Pair{};
  std::array<int, 2> endpoint_pipe{};
  Must(pipe(endpoint_pipe.data()) == 0, "pipe");
  const pid_t worker = fork();  // before there is a context, which has threads
  Must(worker >= 0, "fork");
  if (worker == 0) {
    Serve(endpoint_pipe[0], encrypt ? &keys : nullptr);
  } else {
    Lead(options, endpoint_pipe[1], encrypt ? &keys : nullptr, worker);
  }
  return 0;
}

}  // namespace
}  // namespace taskfarm::bench

int main(int argc, char** argv) { return taskfarm::bench::Main(argc, argv); }
