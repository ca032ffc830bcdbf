// The head of the shared memory: single values that a successor needs.
#pragma once

#include "unionfs/recovery/journal.h"

namespace unionfs {

struct Handover {
    uint64_t nodes_end;  // end of the range that holds or held Nodes, in bytes from the first
    SharedMemory::Reference root;
    std::atomic<uint64_t> largest_request;  // bytes
    uint32_t init_size;                     // 0: the kernel has not sent INIT yet
    char init[512];                         // the kernel's INIT request, which it sends once per connection
    bool kernel_resends;                    // resends what a dead worker read and did not answer: Linux 6.9
    bool kernel_has_io_uring;               // Linux 6.14 with fuse.enable_uring=1
    bool over_io_uring;                     // requests come over io_uring
    int32_t io_uring_error;                 // errno, if it was wanted and offered but can't be used
    JournalEntry journal[Journal::size];
};
static_assert(sizeof(Handover) <= SharedMemory::header_bytes);

inline Handover &handover_of(const SharedMemory &memory) { return *reinterpret_cast<Handover *>(memory.start()); }

}  // namespace unionfs
