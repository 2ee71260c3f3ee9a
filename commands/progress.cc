#include "commands/progress.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace taskfarm {
namespace {

constexpr absl::Duration kRateWindow = absl::Seconds(30);
constexpr size_t kMaxSamples = 200;

}  // namespace

std::string DurationText(absl::Duration duration) {
  const int64_t seconds = absl::ToInt64Seconds(duration);
  if (seconds < 10) return absl::StrFormat("%.2fs", absl::ToDoubleSeconds(duration));
  if (seconds < 60) return absl::StrCat(seconds, "s");
  if (seconds < 3600) return absl::StrFormat("%dm%02ds", seconds / 60, seconds % 60);
  if (seconds < 86400) return absl::StrFormat("%dh%02dm", seconds / 3600, seconds / 60 % 60);
  return absl::StrFormat("%dd%02dh", seconds / 86400, seconds / 3600 % 24);
}

std::string RateText(double per_second) {
  if (per_second >= 10) return absl::StrFormat("%.0f", per_second);
  if (per_second >= 1) return absl::StrFormat("%.1f", per_second);
  if (per_second >= 0.1) return absl::StrFormat("%.2f", per_second);
  return absl::StrFormat("%.3f", per_second);
}

std::string FormatProgress(const ProgressNumbers& numbers, size_t columns) {
  std::vector<std::string> pieces;
  pieces.push_back(numbers.total.has_value()
                       ? absl::StrCat(numbers.done, "/", *numbers.total, " done")
                       : absl::StrCat(numbers.done, " done"));
  pieces.push_back(absl::StrCat(numbers.failed, " failed"));
  pieces.push_back(absl::StrCat(numbers.running, " running"));
  if (numbers.per_second > 0) {
    pieces.push_back(absl::StrCat(RateText(numbers.per_second), "/s"));
    if (numbers.total.has_value() && *numbers.total >= numbers.done) {
      // Whole seconds, and never more than somebody can picture.
      const double seconds =
          std::min(static_cast<double>(*numbers.total - numbers.done) / numbers.per_second, 1e8);
      const absl::Duration left = absl::Ceil(absl::Seconds(seconds), absl::Seconds(1));
      pieces.push_back(absl::StrCat(left < absl::Seconds(10)
                                        ? absl::StrCat(absl::ToInt64Seconds(left), "s")
                                        : DurationText(left),
                                    " left"));
    }
  }
  pieces.push_back(absl::StrCat(numbers.workers, numbers.workers == 1 ? " worker" : " workers"));

  std::string line = pieces[0].substr(0, columns);
  for (size_t i = 1; i < pieces.size(); ++i) {
    if (line.size() + 2 + pieces[i].size() > columns) break;
    absl::StrAppend(&line, ", ", pieces[i]);
  }
  return line;
}

double RateMeter::Update(absl::Time now, uint64_t done) {
  samples_.emplace_back(now, done);
  // The oldest sample is the last one that is outside the window.
  while (samples_.size() > 2 && samples_[1].first <= now - kRateWindow) samples_.pop_front();
  // Far more would be too close together to matter: keep the newest and the oldest.
  if (samples_.size() > kMaxSamples) samples_.erase(samples_.begin() + 1);
  const auto& [time, base] = samples_.front();
  if (now <= time) return 0;
  return static_cast<double>(done - base) / absl::ToDoubleSeconds(now - time);
}

}  // namespace taskfarm
