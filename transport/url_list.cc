#include "transport/url_list.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "transport/open_transport.h"

namespace taskfarm {
namespace {

std::vector<std::string> Entries(absl::string_view list) {
  return SplitUrlList(list).value_or(std::vector<std::string>());
}

bool HasScheme(absl::string_view url, absl::string_view scheme) {
  return UrlScheme(url).value_or("") == scheme;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> SplitUrlList(absl::string_view list) {
  std::vector<std::string> entries = absl::StrSplit(list, ',');
  if (entries.size() == 1) return entries;
  for (auto entry = entries.begin(); entry != entries.end(); ++entry) {
    const absl::StatusOr<std::string> scheme = UrlScheme(*entry);
    if (!scheme.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("in the list of transports '", list, "': ", scheme.status().message()));
    }
    if (std::find(entries.begin(), entry, *entry) != entry) {
      return absl::InvalidArgumentError(
          absl::StrCat("in the list of transports '", list, "': '", *entry, "' is there twice"));
    }
  }
  return entries;
}

bool ListsScheme(absl::string_view list, absl::string_view scheme) {
  const std::vector<std::string> entries = Entries(list);
  return std::any_of(entries.begin(), entries.end(),
                     [scheme](const std::string& url) { return HasScheme(url, scheme); });
}

bool IsOnlyScheme(absl::string_view list, absl::string_view scheme) {
  const std::vector<std::string> entries = Entries(list);
  return entries.size() == 1 && HasScheme(entries[0], scheme);
}

std::vector<std::string> Addresses(absl::string_view list) {
  std::vector<std::string> addresses = Entries(list);
  std::erase_if(addresses, [](const std::string& url) {
    return HasScheme(url, "inproc") || HasScheme(url, "mpi") || !UrlScheme(url).ok();
  });
  return addresses;
}

}  // namespace taskfarm
