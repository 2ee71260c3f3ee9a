#include "transport/zmq/curve.h"

#include <string.h>
#include <zmq.h>

#include <array>

#include "base/check.h"

namespace taskfarm {

KeyPair NewCurvePair() {
  std::array<char, 41> public_key;  // 40 characters and a null
  std::array<char, 41> secret_key;
  CHECK_EQ(zmq_curve_keypair(public_key.data(), secret_key.data()), 0)
      << "libzmq was built without CURVE";
  KeyPair pair = {.public_key = public_key.data(), .secret_key = secret_key.data()};
  explicit_bzero(secret_key.data(), secret_key.size());
  return pair;
}

}  // namespace taskfarm
