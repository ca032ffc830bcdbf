// How a row is measured.
#pragma once

#include <sys/resource.h>

#include <chrono>

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

inline void measure(Results &results, const Mounted &mounted, const std::string &row, const std::function<void()> &work) {
    if (!results.seconds.contains(row)) results.rows.push_back(row);
    const double start = results.processor_time ? processor_seconds(mounted) : elapsed_seconds();
    work();
    const double end = results.processor_time ? processor_seconds(mounted) : elapsed_seconds();
    results.seconds[row][mounted.peer.name].push_back(end - start);
}

// Twice on a new mount: with nothing of it in the kernel's caches, and again.
inline void cold_and_warm(Results &results, Mounted &mounted, const std::string &row, const std::function<void()> &work) {
    mounted.again();
    measure(results, mounted, row + ", cold", work);
    measure(results, mounted, row + ", warm", work);
}

void measure_names(Results &results, Mounted &mounted, const Lower &lower);    // stat, missing, find
void measure_small(Results &results, Mounted &mounted, const Lower &lower);    // open, read, tar, 4 readers, exec
void measure_big(Results &results, Mounted &mounted, const Lower &lower);      // sequential, random, mmap
void measure_writes(Results &results, Mounted &mounted, const Lower &lower);   // write, create, rename, unlink
void measure_copy_up(Results &results, Mounted &mounted, const Lower &lower);  // of big and small files, chmod, rename
void measure_tools(Results &results, Mounted &mounted, const Lower &lower);    // cp, tar, rm, git

}  // namespace bench
