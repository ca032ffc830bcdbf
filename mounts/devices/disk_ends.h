// Reads the first 384 KiB and the last 512 KiB of a disk at once, to rule out two formats that libblkid searches for page by
// page: a ZFS label and an external XFS log. Without these two, a probe needs less than a third of the memory and reads. Used
// by device.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace mounts {

class DiskEnds {
  public:
    // Reads from `fd`. If that fails, or the disk is smaller than both ends together, nothing is ruled out.
    DiskEnds(int fd, uint64_t size_bytes);

    // A vdev has four labels of 256 KiB, two at each end. Each label has a list of name and value pairs at 16 KiB, encoded in
    // XDR, so its first byte is 1 (ZFS On-Disk Specification, 1.2 and 1.3).
    [[nodiscard]] bool may_be_zfs() const;

    // An XFS log consists of records; the first sector of each begins with a magic number (Linux,
    // fs/xfs/libxfs/xfs_log_format.h). libblkid searches the first 256 KiB for one.
    [[nodiscard]] bool may_be_xfs_log() const;

  private:
    static constexpr size_t begin_bytes = 384 << 10, end_bytes = 512 << 10;
    struct alignas(size_t{2} << 20) Buffer {  // one huge page: one fault instead of two hundred
        std::byte begin[begin_bytes], end[end_bytes];
    };
    std::unique_ptr<Buffer> buffer_;  // null: not read
    uint64_t size_bytes_;
};

}  // namespace mounts
