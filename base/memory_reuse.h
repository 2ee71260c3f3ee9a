#ifndef TASKFARM_BASE_MEMORY_REUSE_H_
#define TASKFARM_BASE_MEMORY_REUSE_H_

namespace taskfarm {

// From now on this process keeps memory that was freed, up to some tens of MiB, for what it
// allocates next, where glibc by itself gives blocks the size of payloads back at once: each
// payload would be in fresh memory, which the system has to map and clear page by page, at the cost
// of a second copy. To be called as main() begins. A user's own settings (GLIBC_TUNABLES,
// MALLOC_...) come first.
void ReuseFreedMemory();

}  // namespace taskfarm

#endif  // TASKFARM_BASE_MEMORY_REUSE_H_
