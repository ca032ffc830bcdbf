#include "unionfs/tree/readdirplus_policy.h"

#include <algorithm>

namespace unionfs {

Walks::Trial Walks::begin(pid_t caller, size_t files, bool has_subfolders) {
    if (caller == 0 || stopped_) return 0;  // 0: of a process namespace that we don't see
    const std::lock_guard lock(mutex_);
    const size_t place = static_cast<size_t>(caller) % most;
    Walk &walk = walks_[place];
    if (walk.caller != caller) walk = {.caller = caller, .distance = first_distance, .left = first_distance};
    if (walk.trial == 0) {
        if (walk.left != 0) {
            --walk.left;
            return 0;
        }
        if (files == 0 || files > first_files || has_subfolders) return 0;
        walk.trial = ++trials_ * most + static_cast<Trial>(place);
        walk.ignored = 0;
        walk.last = files;
        return walk.trial;
    }
    walk.ignored += walk.last;
    walk.last = 0;
    // A wrong guess costs a message for each file, so it is never about more files than were guessed right.
    if (files > std::max(first_files, walk.ignored)) return 0;
    walk.last = files;
    return walk.trial;
}

bool Walks::goes_on(Trial trial) {
    const std::lock_guard lock(mutex_);
    return trial != 0 && walks_[trial % most].trial == trial;
}

void Walks::looked_up(Trial trial) {
    const std::lock_guard lock(mutex_);
    Walk &walk = walks_[trial % most];
    if (trial == 0 || walk.trial != trial) return;
    walk.trial = 0;
    walk.distance = walk.distance > UINT32_MAX / growth ? UINT32_MAX : walk.distance * growth;
    walk.left = walk.distance;
}

}  // namespace unionfs
