// Measures what this host has free for machines: memory, according to the kernel and our control groups, and the processors
// that we may use.
#pragma once

#include <cstdint>
#include <string>

namespace hostside {

struct Room {
    int64_t memory_mib = 0;
    int processors = 1;
};

Room free_room();

// The parts of free_room(). `root` stands for "/": reads /proc/meminfo, /proc/self/cgroup and /sys/fs/cgroup, version 1 or 2.
// An unreadable file sets no limit.
int64_t free_memory_mib(const std::string &root);
int quota_processors(const std::string &root);  // INT_MAX: no quota

}  // namespace hostside
