#ifndef TASKFARM_COMMANDS_STANDARD_STREAMS_H_
#define TASKFARM_COMMANDS_STANDARD_STREAMS_H_

namespace taskfarm {

// Makes sure that descriptors 0, 1 and 2 exist, so that no file or socket of ours is taken for one
// of them. One that the caller of the program closed becomes a /dev/null on which every use fails
// (reads of 0, writes to 1 and 2), as it would have on a closed one. Call first thing in main.
void OpenStandardStreams();

}  // namespace taskfarm

#endif  // TASKFARM_COMMANDS_STANDARD_STREAMS_H_
