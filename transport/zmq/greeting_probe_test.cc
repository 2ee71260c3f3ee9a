#include "transport/zmq/greeting_probe.h"

#include <poll.h>

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "transport/clock.h"
#include "transport/zmq/curve.h"
#include "zmq.hpp"

namespace taskfarm::zmq_backend {
namespace {

constexpr absl::string_view kStart("\xff\0\0\0\0\0\0\0\1\x7f\3\0", 12);

std::string Greeting(absl::string_view mechanism) {
  std::string greeting(kStart);
  greeting.append(mechanism.data(), mechanism.size());
  greeting.resize(64);
  return greeting;
}

TEST(MechanismOfTest, ReadsItAsSoonAsItIsThere) {
  for (const std::string mechanism : {"NULL", "CURVE", "A-MECHANISM-OF-20-CH"}) {
    const std::string greeting = Greeting(mechanism);
    for (size_t size = 0; size <= greeting.size(); ++size) {
      const std::optional<std::string> found = MechanismOf(greeting.substr(0, size));
      EXPECT_EQ(found.has_value(), size >= 32) << size;
      EXPECT_EQ(found.value_or(mechanism), mechanism);
    }
  }
}

TEST(MechanismOfTest, NoGreetingNoMechanism) {
  EXPECT_EQ(MechanismOf(std::string(64, '\0')), "");
  EXPECT_EQ(MechanismOf("HTTP/1.1 400 Bad Request\r\nServer: something"), "");
  std::string old = Greeting("CURVE");
  old[10] = 2;
  EXPECT_EQ(MechanismOf(old), "");
}

std::string MechanismAt(const Endpoint& endpoint) {
  GreetingProbe probe(endpoint, Clock::Real().Now());
  while (!probe.Step(Clock::Real().Now())) {
    pollfd entry = {probe.descriptor(), POLLIN, 0};
    poll(&entry, 1, 100);
  }
  return probe.mechanism();
}

class GreetingProbeTest : public testing::Test {
 protected:
  Endpoint Bind() {
    socket_.bind("tcp://127.0.0.1:*");
    return {socket_.get(zmq::sockopt::last_endpoint)};
  }

  zmq::context_t context_;
  zmq::socket_t socket_{context_, zmq::socket_type::router};
};

TEST_F(GreetingProbeTest, AMasterWithoutEncryption) { EXPECT_EQ(MechanismAt(Bind()), "NULL"); }

TEST_F(GreetingProbeTest, AMasterWithEncryption) {
  socket_.set(zmq::sockopt::curve_server, true);
  socket_.set(zmq::sockopt::curve_secretkey, NewCurvePair().secret_key);
  const Endpoint endpoint = Bind();
  EXPECT_EQ(MechanismAt(endpoint), "CURVE");
  EXPECT_EQ(MechanismAt({endpoint.address, /*ipv6=*/true}), "CURVE");
}

TEST_F(GreetingProbeTest, Nobody) {
  EXPECT_EQ(MechanismAt({"tcp://127.0.0.1:1"}), "");
  EXPECT_EQ(MechanismAt({"tcp://no-such-host.invalid:5555"}), "");
  EXPECT_EQ(MechanismAt({"no address"}), "");
}

}  // namespace
}  // namespace taskfarm::zmq_backend
