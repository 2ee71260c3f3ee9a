#include "transport/hybrid/peer_numbers.h"

#include "base/check.h"

namespace taskfarm::hybrid {

PeerId PeerNumbers::Add(Origin origin) {
  const uint64_t own = static_cast<uint64_t>(origin.peer);
  const bool keeps = origin.child == 0 && own >= 1 && own <= kept_;
  const PeerId number{keeps ? own : ++last_};
  CHECK(numbers_.try_emplace({origin.child, origin.peer}, number).second);
  CHECK(origins_.try_emplace(number, origin).second);
  return number;
}

void PeerNumbers::Remove(PeerId number) {
  const auto found = origins_.find(number);
  CHECK(found != origins_.end());
  numbers_.erase({found->second.child, found->second.peer});
  origins_.erase(found);
}

std::optional<PeerId> PeerNumbers::NumberOf(Origin origin) const {
  const auto found = numbers_.find({origin.child, origin.peer});
  if (found == numbers_.end()) return std::nullopt;
  return found->second;
}

std::optional<Origin> PeerNumbers::OriginOf(PeerId number) const {
  const auto found = origins_.find(number);
  if (found == origins_.end()) return std::nullopt;
  return found->second;
}

}  // namespace taskfarm::hybrid
