// Squares 1 to 10 on the farm, from a workspace that only depends on taskfarm.

#include <iostream>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "squares.pb.h"
#include "taskfarm.h"

absl::StatusOr<squares::Number> Square(const squares::Number& number, taskfarm::TaskContext&) {
  squares::Number square;
  square.set_value(number.value() * number.value());
  return square;
}
TASKFARM_TASK(Square);

int main(int argc, char** argv) {
  return taskfarm::Main(argc, argv, [](taskfarm::Client& farm) -> absl::Status {
    std::vector<squares::Number> numbers(10);
    for (size_t i = 0; i < numbers.size(); ++i) {
      numbers[i].set_value(static_cast<int64_t>(i) + 1);
    }
    int64_t sum = 0;
    for (auto& done : farm.Map<Square>(numbers)) {
      if (!done.reply.ok()) {
        return done.reply.status();
      }
      sum += done.reply->value();
    }
    std::cout << "sum of squares: " << sum << "\n";
    return absl::OkStatus();
  });
}
