// What of this host is really free for machines: its memory as the kernel counts it and as our control groups bound it, and the
// processors that we may run on.
#pragma once

#include <cstdint>
#include <string>

namespace hostside {

struct Room {
    int64_t memory_mib = 0;
    int processors = 1;
};

Room free_room();

// Its parts, of a tree that stands for "/": /proc/meminfo, /proc/self/cgroup, /sys/fs/cgroup of either version. What can't be
// read bounds nothing.
int64_t free_memory_mib(const std::string &root);
int quota_processors(const std::string &root);  // INT_MAX: no quota

}  // namespace hostside
