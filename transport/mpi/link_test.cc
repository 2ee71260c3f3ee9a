#include "transport/mpi/link.h"

#include <string>

#include "gtest/gtest.h"

namespace taskfarm::mpi {
namespace {

constexpr Traffic kWindow{.messages = 8, .bytes = 800};

FrameHeader Frame(FrameKind kind, const Traffic& amount = {}) {
  return {.kind = kind, .amount = amount, .part_bytes = {}};
}

// What a reaction asks for, in one line.
std::string Describe(const Link::Reaction& reaction) {
  std::string text;
  if (reaction.up) text += "up ";
  if (reaction.writable) text += "writable ";
  if (reaction.deliver) text += "deliver ";
  if (reaction.down) text += reaction.down->ok() ? "down " : "broken ";
  for (const FrameKind kind : reaction.replies) {
    text += kind == FrameKind::kHello   ? "hello "
            : kind == FrameKind::kReady ? "ready "
                                        : "goodbye ";
  }
  return text;
}

std::string On(Link& link, FrameKind kind, const Traffic& amount = {}) {
  return Describe(link.OnFrame(Frame(kind, amount)));
}

Link UpMaster() {
  Link link(Role::kMaster, kWindow);
  link.OnFrame(Frame(FrameKind::kHello, kWindow));
  link.OnFrame(Frame(FrameKind::kReady));
  return link;
}

TEST(LinkTest, GreetingsGoBothWaysBeforeEitherSideIsUp) {
  Link master(Role::kMaster, kWindow);
  EXPECT_EQ(On(master, FrameKind::kHello, kWindow), "hello ");
  EXPECT_FALSE(master.up());
  EXPECT_EQ(On(master, FrameKind::kReady), "up ");
  EXPECT_TRUE(master.up());

  Link worker(Role::kWorker, kWindow);
  EXPECT_EQ(On(worker, FrameKind::kHello, kWindow), "up ready ");
  EXPECT_TRUE(worker.up());
}

TEST(LinkTest, GoodbyeIsAnsweredOnce) {
  Link link = UpMaster();
  EXPECT_EQ(On(link, FrameKind::kGoodbye), "down goodbye ");
  EXPECT_FALSE(link.up());
  EXPECT_TRUE(link.settled());
  EXPECT_FALSE(link.Close());
  EXPECT_EQ(On(link, FrameKind::kData), "");
}

TEST(LinkTest, ClosingSaysGoodbyeFirstAndDeliversNothing) {
  Link link = UpMaster();
  EXPECT_TRUE(link.Close());
  EXPECT_EQ(On(link, FrameKind::kData), "");
  EXPECT_FALSE(link.settled());
  EXPECT_EQ(On(link, FrameKind::kGoodbye), "down ");
  EXPECT_TRUE(link.settled());
}

TEST(LinkTest, ClosingBeforeTheGreetingGreetsFirst) {
  Link master(Role::kMaster, kWindow);
  EXPECT_FALSE(master.Close());
  EXPECT_EQ(On(master, FrameKind::kHello, kWindow), "hello ");
  EXPECT_EQ(On(master, FrameKind::kReady), "up goodbye ");
  EXPECT_EQ(On(master, FrameKind::kGoodbye), "down ");

  Link worker(Role::kWorker, kWindow);
  EXPECT_FALSE(worker.Close());
  EXPECT_EQ(On(worker, FrameKind::kHello, kWindow), "up ready goodbye ");
}

TEST(LinkTest, OnlyTheMastersEndReleasesAWorker) {
  Link worker(Role::kWorker, kWindow);
  On(worker, FrameKind::kHello, kWindow);
  worker.Close();
  EXPECT_EQ(On(worker, FrameKind::kGoodbye), "down ");
  EXPECT_FALSE(worker.ended());
  EXPECT_EQ(On(worker, FrameKind::kEnd), "");
  EXPECT_TRUE(worker.ended());

  Link abrupt(Role::kWorker, kWindow);
  On(abrupt, FrameKind::kHello, kWindow);
  EXPECT_EQ(On(abrupt, FrameKind::kEnd), "down ");
  EXPECT_TRUE(abrupt.settled());

  Link master = UpMaster();
  EXPECT_EQ(On(master, FrameKind::kEnd), "broken goodbye ");
  EXPECT_FALSE(master.ended());
}

TEST(LinkTest, FramesOutOfTurnBreakTheLink) {
  for (const FrameKind kind :
       {FrameKind::kReady, FrameKind::kData, FrameKind::kAck, FrameKind::kGoodbye}) {
    Link silent(Role::kMaster, kWindow);
    EXPECT_EQ(On(silent, kind), "up broken goodbye ") << static_cast<int>(kind);
    EXPECT_FALSE(silent.settled());
    EXPECT_EQ(On(silent, FrameKind::kHello, kWindow), "") << "broken stays broken";
  }
  for (const FrameKind kind : {FrameKind::kHello, FrameKind::kReady}) {
    Link link = UpMaster();
    EXPECT_EQ(On(link, kind), "broken goodbye ");
    EXPECT_EQ(On(link, FrameKind::kData), "");
  }
}

TEST(LinkTest, ABrokenLinkIsReportedOnceAndStillSaysGoodbye) {
  Link link = UpMaster();
  const Link::Reaction reaction = link.Break(absl::InternalError("why"));
  EXPECT_EQ(Describe(reaction), "broken goodbye ");
  EXPECT_EQ(reaction.down->message(), "why");
  EXPECT_FALSE(link.up());
  EXPECT_EQ(Describe(link.Break(absl::InternalError("again"))), "");
  EXPECT_FALSE(link.settled());
  EXPECT_EQ(On(link, FrameKind::kGoodbye), "");
  EXPECT_TRUE(link.settled());
}

TEST(LinkTest, OfALostRankNothingIsExpected) {
  Link link = UpMaster();
  EXPECT_TRUE(link.Accept(10));
  EXPECT_EQ(Describe(link.Lose(absl::UnavailableError("why"))), "broken ");
  EXPECT_FALSE(link.up());
  EXPECT_TRUE(link.settled());
  EXPECT_TRUE(link.handed_over());
  EXPECT_FALSE(link.Close());
}

TEST(LinkTest, CountsAsOutstandingUntilAcknowledged) {
  Link link = UpMaster();
  for (int i = 0; i < 8; ++i) EXPECT_TRUE(link.Accept(10));
  EXPECT_FALSE(link.Accept(10));
  EXPECT_FALSE(link.handed_over());
  EXPECT_EQ(On(link, FrameKind::kAck, {.messages = 1, .bytes = 10}), "")
      << "one free place is not worth waking the sender";
  EXPECT_EQ(On(link, FrameKind::kData, {.messages = 5, .bytes = 50}), "writable deliver ");
  EXPECT_EQ(On(link, FrameKind::kAck, {.messages = 8, .bytes = 80}), "");
  EXPECT_TRUE(link.handed_over());
}

TEST(LinkTest, AcknowledgementsThatCannotBeBreakTheLink) {
  for (const Traffic& wrong : {Traffic{.messages = 3, .bytes = 30},    // more than was sent
                               Traffic{.messages = 2, .bytes = 21},    // of other sizes
                               Traffic{.messages = 0, .bytes = 0}}) {  // back again
    Link link = UpMaster();
    EXPECT_TRUE(link.Accept(10));
    EXPECT_TRUE(link.Accept(10));
    EXPECT_EQ(On(link, FrameKind::kAck, {.messages = 1, .bytes = 10}), "");
    EXPECT_EQ(On(link, FrameKind::kAck, wrong), "broken goodbye ");
  }
}

TEST(LinkTest, ALastAcknowledgementTravelsOnTheGoodbye) {
  Link link = UpMaster();
  EXPECT_TRUE(link.Accept(10));
  EXPECT_TRUE(link.Close());
  EXPECT_FALSE(link.handed_over());
  EXPECT_EQ(On(link, FrameKind::kGoodbye, {.messages = 1, .bytes = 10}), "down ");
  EXPECT_TRUE(link.handed_over());
}

TEST(LinkTest, AnAckIsDueAtAQuarterOfTheOthersWindow) {
  Link by_messages = UpMaster();
  by_messages.OnConsumed(1);
  EXPECT_TRUE(by_messages.owes_ack());
  EXPECT_FALSE(by_messages.ack_due());
  by_messages.OnConsumed(1);
  EXPECT_TRUE(by_messages.ack_due());
  EXPECT_EQ(by_messages.TellConsumed(), (Traffic{.messages = 2, .bytes = 2}));
  EXPECT_FALSE(by_messages.owes_ack());

  Link by_bytes = UpMaster();
  by_bytes.OnConsumed(199);
  EXPECT_FALSE(by_bytes.ack_due());
  EXPECT_EQ(by_bytes.TellConsumed().bytes, 199u);
  by_bytes.OnConsumed(200);
  EXPECT_TRUE(by_bytes.ack_due());
  EXPECT_EQ(by_bytes.TellConsumed().bytes, 399u) << "a running total";
}

TEST(LinkTest, NothingIsOwedToAPeerThatIsGone) {
  Link link = UpMaster();
  link.OnFrame(Frame(FrameKind::kGoodbye));
  link.OnConsumed(500);
  EXPECT_FALSE(link.owes_ack());
  EXPECT_FALSE(link.ack_due());
}

}  // namespace
}  // namespace taskfarm::mpi
