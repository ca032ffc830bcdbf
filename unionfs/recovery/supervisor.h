// The process that outlives its worker. The worker serves; when it is killed or crashes, another takes its place: it has
// the same memory (shared_memory.h) and the same descriptors, for the processes share one table of them, so that neither
// /dev/fuse nor an unlinked file goes with a worker.
#pragma once

#include <functional>
#include <vector>

#include "unionfs/fuse/device.h"
#include "unionfs/recovery/handover.h"

namespace unionfs {

struct Supervised {
    const Options &options;
    const Handover &handover;
    // In a process of its own; its exit code. `kept`: the supervisor's own descriptors.
    std::function<int(const std::vector<int> &kept)> work;
    std::vector<int> kept{};
};

// Returns when the worker has ended for good: 0 after an unmount. SIGTERM and SIGINT unmount. What happens to a worker is
// told in one line in the kernel's log, or on stderr where that is not ours.
int supervise(Supervised supervised);

// A successor's first step: the kernel is asked for what its predecessor did not answer, and what the predecessor had
// open is closed, but for `kept`.
void take_over(const Device &device, std::vector<int> kept);

}  // namespace unionfs
