// The part of Master that refuses workers that say they are alive and end none of their tasks.

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "master/master.h"

namespace taskfarm {
namespace {

constexpr absl::Duration kInterval = absl::Seconds(10);

}  // namespace

// The session has been sent these of its assigns. Whatever order it runs them in: as long as it has
// some, one ends or comes back within the longest of their timeouts, and idler_grace for all that
// is not running them.
void Master::ExpectAnswers(Session& session, size_t first, size_t end) {
  if (session.identity.empty()) return;  // trusted: of this user, or of this MPI job
  if (session.answers_owed == 0) {
    session.longest_timeout = absl::ZeroDuration();
    session.answered = now_;
  }
  for (size_t i = first; i < end; ++i) {
    const int64_t timeout_ns = store_.At(session.assigns[i].first).timeout_ns;
    session.longest_timeout =
        std::max(session.longest_timeout,
                 timeout_ns > 0 ? absl::Nanoseconds(timeout_ns) : absl::InfiniteDuration());
  }
  if (session.longest_timeout == absl::InfiniteDuration()) return;
  next_look_at_idlers_ = std::min(next_look_at_idlers_, now_ + kInterval);
}

void Master::RefuseIdlers() {
  next_look_at_idlers_ = absl::InfiniteFuture();
  std::vector<PeerId> idlers;
  for (const auto& [peer, session] : sessions_) {
    if (session->identity.empty() || session->phase != Session::Phase::kOpen) continue;
    if (session->answers_owed == 0 || session->longest_timeout == absl::InfiniteDuration()) {
      continue;
    }
    next_look_at_idlers_ = now_ + kInterval;
    if (IsIdler(*session)) idlers.push_back(peer);
  }
  for (const PeerId peer : idlers) {
    Session& session = *sessions_.at(peer);
    Reject(
        session, protocol::Reject::MALFORMED,
        absl::StrCat("it has ended none of its tasks for ",
                     absl::FormatDuration(absl::Trunc(now_ - session.answered, absl::Seconds(1))),
                     ", though each has a timeout of at most ",
                     absl::FormatDuration(session.longest_timeout)));
    sessions_.erase(peer);  // as in OnEvent()
    ++gone_peers_;
  }
}

bool Master::IsIdler(const Session& session) const {
  if (now_ - session.answered <= session.longest_timeout + options_.idler_grace) return false;
  // Without acknowledgements a worker stops after a while: then this master's disk is to blame.
  return std::none_of(waiting_acks_.begin(), waiting_acks_.end(),
                      [&session](const auto& waiting) { return waiting.worker == session.worker; });
}

}  // namespace taskfarm
