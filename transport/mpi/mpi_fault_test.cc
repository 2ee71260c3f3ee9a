// What the MPI transport does when MPI fails or a rank breaks the protocol.

#include <mpi.h>

#include <atomic>
#include <cstdlib>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "transport/mpi/frame.h"
#include "transport/mpi/mpi_test_fixture.h"
#include "transport/mpi/pieces.h"
#include "transport/mpi/world.h"

namespace {

std::atomic<bool> sending_fails{false};
std::atomic<bool> transfers_fail{false};

}  // namespace

// These stand before MPI's own, by MPI's profiling interface, to let things fail.

extern "C" int MPI_Isend_c(const void* buffer, MPI_Count count, MPI_Datatype type, int rank,
                           int tag, MPI_Comm comm, MPI_Request* request) {
  if (sending_fails) return MPI_ERR_OTHER;
  return PMPI_Isend_c(buffer, count, type, rank, tag, comm, request);
}

extern "C" int MPI_Testsome(int count, MPI_Request requests[], int* done, int indices[],
                            MPI_Status statuses[]) {
  const int code = PMPI_Testsome(count, requests, done, indices, statuses);
  if (!transfers_fail || code != MPI_SUCCESS || *done == MPI_UNDEFINED || *done == 0) return code;
  for (int i = 0; i < *done; ++i) statuses[i].MPI_ERROR = MPI_SUCCESS;
  statuses[*done - 1].MPI_ERROR = MPI_ERR_OTHER;
  return MPI_ERR_IN_STATUS;
}

namespace taskfarm {
namespace {

using MpiFaultTest2 = MpiTransportTest;

TEST_F(MpiFaultTest2, AFailingSendTakesThePeerDown) {
  OpenWith();
  AwaitPeers();
  if (!is_master()) {
    NextIs<Received>();
    AwaitMasterDown();
    return Close();
  }
  SendNow(PeerId{1}, MakeMessage(1));
  sending_fails = true;
  EXPECT_EQ(transport().Send(PeerId{1}, MakeMessage(2)).code(), absl::StatusCode::kNotFound);
  sending_fails = false;
  const PeerDown down = NextIs<PeerDown>();
  EXPECT_EQ(down.peer, PeerId{1});
  EXPECT_EQ(down.reason.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(absl::StrContains(down.reason.message(), "MPI_Isend")) << down.reason;
  EXPECT_EQ(transport().Send(PeerId{1}, MakeMessage(3)).code(), absl::StatusCode::kNotFound);
  Close();
}

TEST_F(MpiFaultTest2, AFailingTransferTakesThePeerDown) {
  OpenWith();
  AwaitPeers();
  if (!is_master()) {
    EXPECT_EQ(NextIs<Received>().message.total_bytes(), size_t{1} << 20);
    AwaitMasterDown();
    return Close();
  }
  transfers_fail = true;
  SendNow(PeerId{1}, MakeMessage({std::string(1 << 20, 'x')}));
  const PeerDown down = NextIs<PeerDown>();
  transfers_fail = false;
  EXPECT_EQ(down.peer, PeerId{1});
  EXPECT_TRUE(absl::StrContains(down.reason.message(), "the transfer")) << down.reason;
  ExpectNoEvent(absl::Milliseconds(20));
  Close();
}

TEST_F(MpiFaultTest2, AFailingReceiveTakesThePeerDown) {
  OpenWith();
  AwaitPeers();
  if (!is_master()) {
    SendNow(kMaster, MakeMessage(1));
    SendNow(kMaster, MakeMessage({std::string(32 << 20, 'x')}));
    SendNow(kMaster, MakeMessage(2));
    AwaitMasterDown();
    return Close();
  }
  EXPECT_EQ(NumberIn(NextIs<Received>().message), 1u);
  transfers_fail = true;
  const PeerDown down = NextIs<PeerDown>();
  transfers_fail = false;
  EXPECT_EQ(down.peer, PeerId{1});
  EXPECT_TRUE(absl::StrContains(down.reason.message(), "the transfer")) << down.reason;
  ExpectNoEvent(absl::Milliseconds(20));
  Close();
}

// A rank that speaks the protocol by hand, to break it.
class RawRank {
 public:
  RawRank() {
    int provided;
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);
    Send(mpi::FrameKind::kHello, Message());
    Await(mpi::FrameKind::kHello);
    Send(mpi::FrameKind::kReady, Message());
  }

  // Leaves in the orderly way.
  ~RawRank() {
    Await(mpi::FrameKind::kGoodbye);
    Send(mpi::FrameKind::kGoodbye, Message());
    Await(mpi::FrameKind::kEnd);
    MPI_Finalize();
  }

  void Send(mpi::FrameKind kind, const Message& message) {
    std::string frame(mpi::HeaderBytes(message.parts.size()), '\0');
    mpi::EncodeHeader(kind, {.messages = 0, .bytes = 0}, message, frame.data());
    for (const absl::Cord& part : message.parts) frame += std::string(part);
    SendBytes(frame);
  }

  // A message of one part, in pieces: the lead, and all of the part.
  void SendInPieces(const std::string& part) {
    Message message;
    message.parts.emplace_back(part);
    const size_t header_bytes = mpi::HeaderBytes(1);
    std::string lead(mpi::LeadBytes(1, header_bytes), '\0');
    char* const header = mpi::EncodeLead(mpi::PieceTag(0), {part.size()}, lead.data());
    mpi::EncodeHeader(mpi::FrameKind::kData, {.messages = 0, .bytes = 0}, message, header);
    SendBytes(lead);
    SendBytes(part, mpi::PieceTag(0));
  }

  // Returns when MPI is done with `bytes`.
  void SendBytes(const std::string& bytes, int tag = mpi::kFrameTag) {
    MPI_Send(bytes.data(), static_cast<int>(bytes.size()), MPI_BYTE, 0, tag, MPI_COMM_WORLD);
  }

 private:
  // Receives until a frame of `kind` comes.
  static void Await(mpi::FrameKind kind) {
    char frame[mpi::kSmallFrameBytes];
    absl::StatusOr<mpi::FrameHeader> header;
    do {
      MPI_Status status;
      MPI_Recv(frame, sizeof(frame), MPI_BYTE, 0, mpi::kFrameTag, MPI_COMM_WORLD, &status);
      int bytes = 0;
      MPI_Get_count(&status, MPI_BYTE, &bytes);
      header = mpi::DecodeHeader({frame, static_cast<size_t>(bytes)},
                                 {.max_message_bytes = sizeof(frame), .max_parts = 9});
      ASSERT_TRUE(header.ok()) << header.status();
    } while (header->kind != kind);
  }
};

// Rank 1 misbehaves after its greeting and a first message, 0; the master is told so and no more.
class MpiMisuseTest2 : public MpiTransportTest {
 protected:
  void RunWith(absl::FunctionRef<void(RawRank&)> misbehave, absl::string_view expected_reason) {
    if (std::string(std::getenv("PMI_RANK")) != "0") {
      RawRank rank;
      rank.Send(mpi::FrameKind::kData, MakeMessage(0));
      misbehave(rank);
      rank.Send(mpi::FrameKind::kData, MakeMessage(1));
      rank.SendBytes(std::string(100'000, 'x'));
      rank.SendInPieces(std::string(1 << 20, 'y'));
      return;
    }
    OpenWith({.url = "mpi:", .max_message_bytes = 1 << 20});
    EXPECT_EQ(NextIs<PeerUp>().peer, PeerId{1});
    EXPECT_EQ(NumberIn(NextIs<Received>().message), 0u);
    const PeerDown down = NextIs<PeerDown>();
    EXPECT_EQ(down.peer, PeerId{1});
    EXPECT_TRUE(absl::StrContains(down.reason.message(), expected_reason)) << down.reason;
    EXPECT_EQ(transport().Send(PeerId{1}, MakeMessage(1)).code(), absl::StatusCode::kNotFound);
    ExpectNoEvent(absl::Milliseconds(50));
    Close();
  }
};

TEST_F(MpiMisuseTest2, AMalformedFrameTakesThePeerDown) {
  RunWith([](RawRank& rank) { rank.SendBytes("this is no frame, whatever one makes of it"); },
          "another program");
}

TEST_F(MpiMisuseTest2, AFrameOutOfTurnTakesThePeerDown) {
  RunWith([](RawRank& rank) { rank.Send(mpi::FrameKind::kReady, Message()); }, "out of turn");
}

TEST_F(MpiMisuseTest2, AMalformedLeadTakesThePeerDown) {
  RunWith(
      [](RawRank& rank) {
        std::string lead(mpi::LeadBytes(0, 0), '\0');
        mpi::EncodeLead(mpi::PieceTag(0), {}, lead.data());
        rank.SendBytes(lead);
      },
      "in 0 pieces");
}

TEST_F(MpiMisuseTest2, AnOversizedMessageInPiecesIsRefusedAndItsSenderGoesOn) {
  RunWith([](RawRank& rank) { rank.SendInPieces(std::string(64 << 20, 'x')); }, "over the limit");
}

TEST_F(MpiMisuseTest2, AnOversizedMessageIsRefusedUnreadAndItsSenderGoesOn) {
  RunWith(
      [](RawRank& rank) {
        rank.Send(mpi::FrameKind::kData, MakeMessage({std::string(64 << 20, 'x')}));
      },
      "over the limit");
  EXPECT_LT(PeakResidentBytes(), size_t{512} << 20);
}

}  // namespace
}  // namespace taskfarm
