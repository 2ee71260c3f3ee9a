#ifndef TASKFARM_TRANSPORT_HYBRID_PEER_NUMBERS_H_
#define TASKFARM_TRANSPORT_HYBRID_PEER_NUMBERS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "transport/transport.h"

namespace taskfarm::hybrid {

// A peer as the transport that has it knows it.
struct Origin {
  size_t child;
  PeerId peer;
};

// Under which numbers the peers of several transports are those of one: small ones, as people get
// to see them, and never the same twice. Pure.
class PeerNumbers {
 public:
  // Peers 1 to `kept` of child 0 keep their numbers (the ranks of MPI); all others get the next
  // one that is free.
  explicit PeerNumbers(uint64_t kept) : kept_(kept), last_(kept) {}

  // A peer has come up that was not known, as PeerIds are not used again.
  PeerId Add(Origin origin);
  // The peer is gone: neither number is known any more.
  void Remove(PeerId number);

  // Nothing if it is not known.
  std::optional<PeerId> NumberOf(Origin origin) const;
  std::optional<Origin> OriginOf(PeerId number) const;

 private:
  const uint64_t kept_;
  uint64_t last_;
  absl::flat_hash_map<PeerId, Origin> origins_;
  absl::flat_hash_map<std::pair<size_t, PeerId>, PeerId> numbers_;
};

}  // namespace taskfarm::hybrid

#endif  // TASKFARM_TRANSPORT_HYBRID_PEER_NUMBERS_H_
