#include "mounts/devices/disk_ends.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace mounts {

namespace {

bool read_exactly(int fd, std::byte *to, size_t size, uint64_t offset) {
    return ::pread(fd, to, size, static_cast<off_t>(offset)) == static_cast<ssize_t>(size);
}

}  // namespace

DiskEnds::DiskEnds(int fd, uint64_t size_bytes) : size_bytes_(size_bytes) {
    if (size_bytes < begin_bytes + end_bytes) return;
    buffer_ = std::make_unique_for_overwrite<Buffer>();
    (void)::madvise(buffer_.get(), sizeof *buffer_, MADV_HUGEPAGE);  // slower without
    if (!read_exactly(fd, buffer_->begin, begin_bytes, 0) || !read_exactly(fd, buffer_->end, end_bytes, size_bytes - end_bytes))
        buffer_.reset();
}

bool DiskEnds::may_be_zfs() const {
    if (!buffer_) return true;
    constexpr size_t label_bytes = 256 << 10, list_at = 16 << 10;
    constexpr auto xdr = std::byte{1};
    // The last two labels lie at the end of the disk's size, rounded down to a multiple of a label's size.
    const size_t rest = size_bytes_ % label_bytes;
    const size_t third = rest <= list_at ? list_at - rest : 0, fourth = label_bytes + list_at - rest;
    return buffer_->begin[list_at] == xdr || buffer_->begin[label_bytes + list_at] == xdr || rest > list_at ||
           buffer_->end[third] == xdr || buffer_->end[fourth] == xdr;
}

bool DiskEnds::may_be_xfs_log() const {
    if (!buffer_) return true;
    constexpr size_t sector = 512, searched_bytes = 256 << 10;
    constexpr std::array<unsigned char, 4> magic{0xfe, 0xed, 0xba, 0xbe};
    for (size_t at = 0; at < searched_bytes; at += sector)
        if (std::memcmp(buffer_->begin + at, magic.data(), magic.size()) == 0) return true;
    return false;
}

}  // namespace mounts
