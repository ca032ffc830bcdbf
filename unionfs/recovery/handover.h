// The head of the shared memory: what a successor needs that exists once.
#pragma once

#include "unionfs/recovery/journal.h"

namespace unionfs {

struct Handover {
    uint64_t nodes_end;  // bytes from the first Node on in which Nodes are or were
    SharedMemory::Reference root;
    std::atomic<uint64_t> largest_request;  // bytes
    uint32_t init_size;                     // 0: the kernel has not asked yet
    char init[512];                         // its INIT request: it asks once a connection
    bool kernel_resends;                    // what a dead worker read and did not answer: Linux 6.9
    bool kernel_has_io_uring;               // Linux 6.14 with fuse.enable_uring=1
    bool over_io_uring;                     // requests come that way
    int32_t io_uring_error;                 // asked for, and the kernel offers it: an errno that says why not
    JournalEntry journal[Journal::size];
};
static_assert(sizeof(Handover) <= SharedMemory::header_bytes);

inline Handover &handover_of(const SharedMemory &memory) { return *reinterpret_cast<Handover *>(memory.start()); }

}  // namespace unionfs
