#include "unionfs/recovery/handover.h"

#include <cstring>

namespace unionfs {

// struct fuse_in_header has 40 bytes, fuse_init_in then: major, minor, max_readahead, flags, flags2 (linux/fuse.h).
// `feature`: the number of its bit, 32 at least.
bool Handover::kernel_has(unsigned feature) const {
    constexpr size_t flags = 40 + 12, flags2 = 40 + 16;
    constexpr uint32_t init_ext = 1U << 30;
    uint32_t word = 0, word2 = 0;
    if (init_size < flags2 + sizeof word2) return false;
    std::memcpy(&word, init + flags, sizeof word);
    std::memcpy(&word2, init + flags2, sizeof word2);
    return (word & init_ext) != 0 && (word2 & (1U << (feature - 32))) != 0;
}

bool Handover::kernel_resends() const { return kernel_has(39); }       // FUSE_HAS_RESEND
bool Handover::kernel_has_io_uring() const { return kernel_has(41); }  // FUSE_OVER_IO_URING

}  // namespace unionfs
