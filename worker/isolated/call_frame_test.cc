#include "worker/isolated/call_frame.h"

#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <utility>

#include "base/check.h"
#include "gtest/gtest.h"
#include "worker/commands/descriptor.h"

namespace taskfarm {
namespace {

class CallFrameTest : public ::testing::Test {
 protected:
  CallFrameTest() {
    int fds[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    ours_ = Descriptor(fds[0]);
    theirs_ = Descriptor(fds[1]);
  }

  static FrameHeader Header(uint64_t call) {
    FrameHeader header;
    header.call = call;
    return header;
  }

  Descriptor ours_;
  Descriptor theirs_;
  FrameReader reader_;
};

TEST_F(CallFrameTest, CarriesHeadersAndPayloads) {
  for (uint64_t call = 1; call <= 3; ++call) {
    const absl::Cord payload(std::string(call * 1000, 'x'));
    EXPECT_EQ(FrameWriter(Header(call), payload).Write(ours_.get(), 0), Transfer::kDone);
    ASSERT_EQ(reader_.Read(theirs_.get(), 0), Transfer::kDone);
    EXPECT_EQ(reader_.header().call, call);
    EXPECT_EQ(reader_.TakePayload(), payload);
  }
}

TEST_F(CallFrameTest, AnEmptyPayloadIsOne) {
  const absl::Cord payload;
  EXPECT_EQ(FrameWriter(Header(7), payload).Write(ours_.get(), 0), Transfer::kDone);
  ASSERT_EQ(reader_.Read(theirs_.get(), 0), Transfer::kDone);
  EXPECT_EQ(reader_.header().call, 7u);
  EXPECT_EQ(reader_.TakePayload(), "");
}

TEST_F(CallFrameTest, WhatDoesNotFitGoesInTurns) {
  const absl::Cord payload(std::string(size_t{3} << 20, 'y'));
  FrameWriter writer(Header(1), payload);
  int turns = 0;
  for (;;) {
    const Transfer written = writer.Write(ours_.get(), MSG_DONTWAIT);
    const Transfer read = reader_.Read(theirs_.get(), MSG_DONTWAIT);
    ++turns;
    if (read == Transfer::kDone) {
      EXPECT_EQ(written, Transfer::kDone);
      break;
    }
    ASSERT_EQ(read, Transfer::kBlocked);
  }
  EXPECT_GT(turns, 1);
  EXPECT_EQ(reader_.TakePayload(), payload);
}

TEST_F(CallFrameTest, ComesByteByByte) {
  FrameHeader header = Header(9);
  header.payload_bytes = 2;
  std::string bytes(reinterpret_cast<const char*>(&header), sizeof(header));
  bytes += "ab";
  for (size_t i = 0; i < bytes.size(); ++i) {
    EXPECT_EQ(reader_.Read(theirs_.get(), MSG_DONTWAIT), Transfer::kBlocked);
    ASSERT_EQ(write(ours_.get(), &bytes[i], 1), 1);
  }
  ASSERT_EQ(reader_.Read(theirs_.get(), MSG_DONTWAIT), Transfer::kDone);
  EXPECT_EQ(reader_.TakePayload(), "ab");
}

TEST_F(CallFrameTest, WhatDoesNotComeSoonIsNotWaitedFor) {
  EXPECT_EQ(reader_.ReadSoon(theirs_.get()), Transfer::kBlocked);
  const absl::Cord payload("x");
  EXPECT_EQ(FrameWriter(Header(1), payload).Write(ours_.get(), 0), Transfer::kDone);
  ASSERT_EQ(reader_.ReadSoon(theirs_.get()), Transfer::kDone);
  EXPECT_EQ(reader_.TakePayload(), payload);
  ours_.Close();
  EXPECT_EQ(reader_.ReadSoon(theirs_.get()), Transfer::kBroken);
}

TEST_F(CallFrameTest, AnOtherEndThatIsGoneIsBroken) {
  theirs_.Close();
  const absl::Cord payload("x");
  EXPECT_EQ(FrameWriter(Header(1), payload).Write(ours_.get(), 0), Transfer::kBroken);
  EXPECT_EQ(reader_.Read(ours_.get(), 0), Transfer::kBroken);
}

TEST_F(CallFrameTest, AnImpossibleSizeIsBroken) {
  FrameHeader header = Header(1);
  header.payload_bytes = kMaxFramePayloadBytes + 1;
  ASSERT_EQ(write(ours_.get(), &header, sizeof(header)), static_cast<ssize_t>(sizeof(header)));
  EXPECT_EQ(reader_.Read(theirs_.get(), 0), Transfer::kBroken);
}

TEST_F(CallFrameTest, MoreThanOneFrameAtATimeIsBroken) {
  const absl::Cord payload("x");
  for (uint64_t call = 1; call <= 2; ++call) {
    EXPECT_EQ(FrameWriter(Header(call), payload).Write(ours_.get(), 0), Transfer::kDone);
  }
  EXPECT_EQ(reader_.Read(theirs_.get(), 0), Transfer::kBroken);
}

}  // namespace
}  // namespace taskfarm
