#ifndef TASKFARM_BASE_USER_FOLDER_H_
#define TASKFARM_BASE_USER_FOLDER_H_

namespace taskfarm {

// `bazel run` starts programs in a folder of its own and tells where the user is. The user's
// relative paths are meant from there: goes there. What this process starts does not go there once
// more. Call before any thread starts.
void GoWhereTheUserIs();

}  // namespace taskfarm

#endif  // TASKFARM_BASE_USER_FOLDER_H_
