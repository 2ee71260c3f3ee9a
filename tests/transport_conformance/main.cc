#include <memory>
#include <optional>

#include "gtest/gtest.h"
#include "tests/transport_conformance/backend.h"

namespace {

// Makes a failed ASSERT in a function that a test calls the end of that test too.
class EndTestOnFatalFailure : public testing::EmptyTestEventListener {
  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (result.fatally_failed()) throw testing::AssertionException(result);
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (const std::optional<int> status = taskfarm::conformance::RunAsPeer(argc, argv)) {
    return *status;
  }
  testing::InitGoogleTest(&argc, argv);
  auto listener = std::make_unique<EndTestOnFatalFailure>();
  testing::UnitTest::GetInstance()->listeners().Append(listener.release());
  return RUN_ALL_TESTS();
}
