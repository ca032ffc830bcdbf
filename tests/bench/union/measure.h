// How a row is measured.
#pragma once

#include <chrono>

#include "tests/bench/union/rows.h"

namespace bench {

inline void measure(Results &results, const Mounted &mounted, const std::string &row, const std::function<void()> &work) {
    if (!results.seconds.contains(row)) results.rows.push_back(row);
    const auto start = std::chrono::steady_clock::now();
    work();
    results.seconds[row][mounted.peer.name].push_back(
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
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
