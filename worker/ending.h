#ifndef TASKFARM_WORKER_ENDING_H_
#define TASKFARM_WORKER_ENDING_H_

namespace taskfarm {

// From now on a return from main() and exit() end this process without the destructors of static
// objects and without the atexit() functions that were registered before: what stdio and std::cout
// hold is written, and then it is over. For a process in which a thread runs that nobody can end
// and that may use any of those objects. Thread-safe.
void EndWithoutDestructors();

}  // namespace taskfarm

#endif  // TASKFARM_WORKER_ENDING_H_
