// The part of Master that opens and ends sessions.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "master/master.h"
#include "protocol/limits.h"

namespace taskfarm {
namespace {

// The number of a second and later session of one peer lies above every PeerId in use.
constexpr uint64_t kReopenedSessions = uint64_t{1} << 32;

std::string FirstDifference(const std::vector<std::string>& ours,
                            const google::protobuf::RepeatedPtrField<std::string>& theirs) {
  for (const std::string& function : ours) {
    if (std::find(theirs.begin(), theirs.end(), function) == theirs.end()) {
      return absl::StrCat("the worker lacks ", function);
    }
  }
  for (const std::string& function : theirs) {
    if (std::find(ours.begin(), ours.end(), function) == ours.end()) {
      return absl::StrCat("the master lacks ", function);
    }
  }
  return "their message definitions differ";
}

}  // namespace

void Master::OnHello(Session& session, const protocol::Envelope& envelope) {
  const protocol::Hello& hello = envelope.hello();
  if (session.phase == Session::Phase::kOpen) {
    EndSession(session, /*orderly=*/false, "it started a new session");
  }
  session.hostname = hello.hostname();
  session.pid = hello.pid();
  if (hello.program_digest() != options_.program_digest) {
    const std::vector<std::string>& ours = options_.functions;
    Reject(session, protocol::Reject::PROGRAM_DIGEST,
           absl::StrCat("the worker runs another program than the master: ",
                        FirstDifference(ours, hello.functions()),
                        "; build both from the same sources"));
    return;
  }
  if (closing_) {
    SayJobOver(session);
    return;
  }
  if (workers_.size() >= options_.max_workers) {
    Reject(session, protocol::Reject::TOO_MANY_WORKERS,
           absl::StrCat("the master has ", workers_.size(), " workers, its limit"));
    return;
  }
  const bool reopened = Value(session.worker) != 0;
  session.worker = reopened ? WorkerId{kReopenedSessions + ++reopened_}
                            : WorkerId{static_cast<uint64_t>(session.peer)};
  session.phase = Session::Phase::kOpen;
  session.slots = hello.slots();
  session.last_result = 0;
  session.drains = false;
  session.answers_owed = hello.held_size();
  session.longest_timeout = absl::InfiniteDuration();  // of what it holds
  identities_.Add(session.worker, session.identity);
  workers_[session.worker] = &session;
  session.welcome_due = true;
  MarkDue(session);
  Step(WorkerJoined{session.worker, session.slots});
  AdoptHeld(session, hello);
}

void Master::OnGoodbye(Session& session, const protocol::Goodbye& goodbye) {
  EndSession(session, /*orderly=*/true, goodbye.reason());
}

void Master::EndSession(Session& session, bool orderly, absl::string_view reason) {
  if (session.phase != Session::Phase::kOpen) return;
  if (!orderly && !closing_) {
    Log(absl::StrCat("worker ", Value(session.worker), " (", session.hostname, ", pid ",
                     session.pid, ") is lost: ", reason));
  }
  Step(WorkerLost{session.worker, orderly});
  session.phase = Session::Phase::kClosed;
  workers_.erase(session.worker);
  session.welcome_due = false;
  session.assigns.clear();
  session.cancels.clear();
  session.recall.reset();
  session.ack.reset();
  const WorkerId worker = session.worker;
  waiting_acks_.erase(
      std::remove_if(waiting_acks_.begin(), waiting_acks_.end(),
                     [worker](const WaitingAck& ack) { return ack.worker == worker; }),
      waiting_acks_.end());
  Forget(session);
}

void Master::Reject(Session& session, protocol::Reject::Reason reason, const std::string& text) {
  if (session.refused) return;
  if (session.phase != Session::Phase::kOpen) {
    Log(absl::StrCat("refused the worker on ",
                     session.hostname.empty() ? "an unknown host" : session.hostname, ": ", text));
  }
  EndSession(session, /*orderly=*/false, text);
  session.phase = Session::Phase::kClosed;
  protocol::Envelope envelope;
  envelope.mutable_reject()->set_reason(reason);
  envelope.mutable_reject()->set_text(text.substr(0, kMaxTextBytes));
  SendTo(session, envelope);
  session.refused = true;
  transport_->Disconnect(session.peer);
}

bool Master::IsOfSameIdentity(const Session& session, WorkerId holder) const {
  return identities_.Is(holder, session.identity);
}

// The session brings a result of a task that it does not hold in that attempt.
void Master::CheckHolder(Session& session, TaskId task, Attempt attempt) {
  const WorkerId holder = scheduler_.LastHolderOf(task, attempt);
  if (holder != WorkerId{0} && !IsOfSameIdentity(session, holder)) RefuseClaim(session, task);
}

void Master::RefuseClaim(Session& session, TaskId task) {
  ++refused_claims_;
  if (std::exchange(session.claims_are_refused, true)) return;
  Log(absl::StrCat("refused what worker ", Value(session.worker), " (", session.hostname, ", pid ",
                   session.pid, ", identity \"", session.identity, "\") says of task ", Value(task),
                   ": it was given to another identity"));
}

void Master::SayJobOver(Session& session) {
  protocol::Envelope envelope;
  envelope.mutable_goodbye()->set_reason("the job is over");
  SendTo(session, envelope);
}

}  // namespace taskfarm
