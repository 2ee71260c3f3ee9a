#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/user_folder.h"
#include "commands/exit_status.h"
#include "commands/standard_streams.h"
#include "flags/parse.h"
#include "keys/identities.h"
#include "keys/key_file.h"
#include "keys/keyring.h"
#include "transport/zmq/curve.h"

ABSL_FLAG(std::string, keys, "",
          "directory of the master's keys, made if there is none; default: ~/.taskfarm");
ABSL_FLAG(std::string, out, "", "the file to write; default: NAME.key");
ABSL_FLAG(std::string, revoke, "", "take the worker of this name off the list again");
ABSL_FLAG(bool, list, false, "print the names of those who are let in");

namespace taskfarm {
namespace {

constexpr char kUsage[] =
    "keygen: says which workers a master of this user lets in over ZeroMQ\n"
    "  keygen NAME             lets a new worker in and writes its key file NAME.key\n"
    "  keygen --revoke NAME    does not let it in any more\n"
    "  keygen --list           prints who is let in\n"
    "Masters that run notice by themselves. Your own workers that see this directory need "
    "nothing:\n"
    "they are let in as `owner`, whose key is renewed by --revoke owner and then `keygen owner`.\n"
    "Exit status: 0 done, 2 wrong use, 3 it could not be done.";

void Print(absl::string_view line) { std::printf("%s\n", std::string(line).c_str()); }

int Failed(const absl::Status& why) {
  std::fprintf(stderr, "keygen: %s\n", std::string(why.message()).c_str());
  return absl::IsUnavailable(why) || absl::IsResourceExhausted(why) ? kExitFarmFailed
                                                                    : kExitWrongUse;
}

int Add(const std::string& directory, const std::string& name) {
  if (!IsIdentityName(name)) {
    return Failed(absl::InvalidArgumentError(IdentityNameRule()));
  }
  const absl::StatusOr<std::unique_ptr<MasterKeys>> keys =
      MasterKeys::OpenOrCreate(directory, NewCurvePair);
  if (!keys.ok()) return Failed(keys.status());
  if ((*keys)->was_created()) Print(absl::StrCat("Made new keys in ", directory, "."));
  std::string out = absl::GetFlag(FLAGS_out);
  const bool stays = out.empty() && name == kOwnerIdentity;
  if (stays) {
    out = absl::StrCat(directory, "/", kWorkerFile);
  } else if (out.empty()) {
    out = absl::StrCat(name, ".key");
  }
  const absl::Status added = AddIdentity(**keys, name, out, NewCurvePair);
  if (!added.ok()) return Failed(added);
  if (stays) {
    Print(absl::StrCat("Wrote ", out, ": workers that see this directory are let in."));
    return kExitOk;
  }
  const std::string file = out.substr(out.find_last_of('/') + 1);
  Print(absl::StrCat("Wrote ", out, ", a secret: who has it is let in as ", name, "."));
  Print(absl::StrCat("Copy it:       scp ", out, " HOST:"));
  Print(absl::StrCat("On that host:  worker --keys=", file, " --transport=zmq://MASTER:PORT"));
  return kExitOk;
}

int Revoke(const std::string& directory, const std::string& name) {
  const absl::Status revoked = RevokeIdentity(directory, name);
  if (!revoked.ok()) return Failed(revoked);
  Print(absl::StrCat(name, " is not let in any more."));
  return kExitOk;
}

int List(const std::string& directory) {
  const absl::StatusOr<std::unique_ptr<MasterKeys>> keys = MasterKeys::Open(directory);
  if (!keys.ok()) return Failed(keys.status());
  for (const std::string& name : (*keys)->Identities()) Print(name);
  for (const std::string& line : (*keys)->problems()) {
    std::fprintf(stderr, "keygen: %s\n", line.c_str());
  }
  return kExitOk;
}

int Run(int argc, char** argv) {
  const std::vector<absl::string_view> arguments(argv + 1, argv + argc);
  const absl::StatusOr<CommandLine> line = ParseCommandLine(arguments);
  if (!line.ok()) return Failed(line.status());
  if (line->help) {
    std::fputs(HelpText(kUsage).c_str(), stdout);
    return kExitOk;
  }
  const std::string revoke = absl::GetFlag(FLAGS_revoke);
  const bool list = absl::GetFlag(FLAGS_list);
  const size_t wishes = line->positional.size() + (revoke.empty() ? 0 : 1) + (list ? 1 : 0);
  if (wishes != 1) {
    return Failed(
        absl::InvalidArgumentError("give one of NAME, --revoke NAME and --list; --help says more"));
  }
  if (line->positional.empty() && !absl::GetFlag(FLAGS_out).empty()) {
    return Failed(absl::InvalidArgumentError("--out goes with NAME"));
  }
  std::string directory = absl::GetFlag(FLAGS_keys);
  if (directory.empty()) {
    const absl::StatusOr<std::string> usual = DefaultKeysDirectory();
    if (!usual.ok()) return Failed(usual.status());
    directory = *usual;
  }
  if (list) return List(directory);
  if (!revoke.empty()) return Revoke(directory, revoke);
  return Add(directory, line->positional[0]);
}

}  // namespace
}  // namespace taskfarm

int main(int argc, char** argv) {
  taskfarm::OpenStandardStreams();
  taskfarm::GoWhereTheUserIs();
  const int status = taskfarm::Run(argc, argv);
  return status == taskfarm::kExitOk && std::fflush(stdout) != 0 ? taskfarm::kExitFarmFailed
                                                                 : status;
}
