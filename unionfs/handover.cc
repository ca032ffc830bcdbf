#include "unionfs/handover.h"

#include <cstring>

namespace unionfs {

// struct fuse_in_header has 40 bytes, fuse_init_in then: major, minor, max_readahead, flags, flags2 (linux/fuse.h).
bool Handover::kernel_resends() const {
    constexpr size_t flags = 40 + 12, flags2 = 40 + 16;
    constexpr uint32_t init_ext = 1U << 30, has_resend = 1U << (39 - 32);
    uint32_t word = 0, word2 = 0;
    if (init_size < flags2 + sizeof word2) return false;
    std::memcpy(&word, init + flags, sizeof word);
    std::memcpy(&word2, init + flags2, sizeof word2);
    return (word & init_ext) != 0 && (word2 & has_resend) != 0;
}

}  // namespace unionfs
