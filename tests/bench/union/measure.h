// How a row is measured.
#pragma once

#include <sys/resource.h>

#include <chrono>
#include <fstream>

#include "tests/bench/union/rows.h"

namespace bench {

inline double elapsed_seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Of this process, its children that ended, and the daemon.
inline double processor_seconds(const Mounted &mounted) {
    double seconds = mounted.daemon_seconds();
    for (const int whose : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
        rusage used{};
        (void)::getrusage(whose, &used);
        for (const timeval &time : {used.ru_utime, used.ru_stime})
            seconds += static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    }
    return seconds;
}

inline double cost_of(const Results &results, const Mounted &mounted, const std::function<void()> &work) {
    const auto now = [&] { return results.processor_time ? processor_seconds(mounted) : elapsed_seconds(); };
    const double start = now();
    work();
    return now() - start;
}

inline void note(Results &results, const Mounted &mounted, const std::string &row, double cost) {
    if (!results.seconds.contains(row)) results.rows.push_back(row);
    results.seconds[row][mounted.peer.name].push_back(cost);
}

inline void measure(Results &results, const Mounted &mounted, const std::string &row, const std::function<void()> &work) {
    note(results, mounted, row, cost_of(results, mounted, work));
}

// How often anyone dropped the kernel's caches.
inline long drops_of_caches() {
    std::ifstream counters("/proc/vmstat");
    std::string name;
    long count = 0;
    for (long value = 0; counters >> name >> value;)
        if (name == "drop_pagecache" || name == "drop_slab") count += value;
    return count;
}

// Twice on a new mount: with nothing of it in the kernel's caches, and again. Repeats both if another program dropped the caches
// in between, as tests on a shared machine do.
inline void cold_and_warm(Results &results, Mounted &mounted, const std::string &row, const std::function<void()> &work) {
    for (int attempt = 0; attempt < 20; ++attempt) {
        mounted.again();
        const long drops = drops_of_caches();
        const double cold = cost_of(results, mounted, work), warm = cost_of(results, mounted, work);
        if (attempt < 19 && drops_of_caches() != drops) continue;
        note(results, mounted, row + ", cold", cold);
        note(results, mounted, row + ", warm", warm);
        return;
    }
}

void measure_names(Results &results, Mounted &mounted, const Lower &lower);    // stat, missing, find
void measure_small(Results &results, Mounted &mounted, const Lower &lower);    // open, read, tar, 4 readers, exec
void measure_big(Results &results, Mounted &mounted, const Lower &lower);      // sequential, random, mmap
void measure_writes(Results &results, Mounted &mounted, const Lower &lower);   // write, create, rename, unlink
void measure_copy_up(Results &results, Mounted &mounted, const Lower &lower);  // of big and small files, chmod, rename
void measure_tools(Results &results, Mounted &mounted, const Lower &lower);    // cp, tar, rm, git

}  // namespace bench
