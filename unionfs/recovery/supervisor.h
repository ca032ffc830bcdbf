// How the union survives kill -9. This comment describes the whole protocol; the other files of this directory implement it.
//
// Two processes share one descriptor table (CLONE_FILES), so /dev/fuse and unlinked files stay open when either dies. The
// supervisor only waits. The worker serves. Both map the shared memory at the same address (shared_memory.h). It holds the
// nodes, their names, the kernel's INIT request (handover.h) and the journal.
//
//   serving     Before a change that must not happen twice, the worker notes it in the journal (journal.h). It makes the
//               change with one system call, answers the kernel, and frees the entry.
//   died        The supervisor learns of the death by SIGCHLD. If the worker ended with 0, the mount was unmounted, and the
//               supervisor ends too. If no successor can help, it says why and gives up (`hopeless` in supervisor.cc): the
//               kernel is older than Linux 6.9, requests came over io_uring, the worker never served, or five workers in a
//               row lived less than a second each.
//   take-over   Otherwise it starts a new worker. The new worker first asks the kernel to send all unanswered requests again
//               (FUSE_NOTIFY_RESEND), and closes what its predecessor had open (close_all_but below).
//   restoring   It answers the saved INIT request to its own libfuse session, because the kernel asks only once. Then
//               restore.cc restores what only the dead worker's own memory had: it looks up each node's names in the
//               layers again. For each journal entry, it finds out on disk whether the change was made. The kernel has
//               kept those directories locked, so nobody else can have made it.
//   serving     Requests that the kernel sends again are recognized by their number. If the change was made, the answer
//               comes from the journal and nothing is repeated. All other requests are carried out as if they were new.
//
// SIGTERM and SIGINT go to the supervisor, which unmounts. The worker then sees the end of the connection and ends with 0.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "unionfs/recovery/handover.h"

namespace unionfs {

struct Supervised {
    const std::string &mountpoint;
    bool has_terminal;  // report on stderr, not in the kernel's log
    const Handover &handover;
    // Runs in a process of its own and returns its exit code. `kept`: the supervisor's own descriptors.
    std::function<int(const std::vector<int> &kept)> work;
    std::function<void()> unmount;
    std::vector<int> kept{};
};

// Returns when the worker has ended for good, with 0 after an unmount. SIGTERM and SIGINT unmount. Each death of a worker is
// reported in one line, on stderr or in the kernel's log (has_terminal).
int supervise(Supervised supervised);

// Closes what a successor's predecessor had open, except `kept`.
void close_all_but(std::vector<int> kept);

}  // namespace unionfs
