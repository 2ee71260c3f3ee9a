#include "base/memory_reuse.h"

#include <malloc.h>

#include <cstdlib>
#include <initializer_list>

namespace taskfarm {
namespace {

// Larger ones are mapped and unmapped one by one, so that no more than these is ever kept.
constexpr int kLargestReusedBytes = 32 << 20;
constexpr int kKeptBytes = 32 << 20;

}  // namespace

void ReuseFreedMemory() {
  for (const char* const own :
       {"GLIBC_TUNABLES", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"}) {
    if (std::getenv(own) != nullptr) return;
  }
  mallopt(M_MMAP_THRESHOLD, kLargestReusedBytes);
  mallopt(M_TRIM_THRESHOLD, kKeptBytes);
}

}  // namespace taskfarm
