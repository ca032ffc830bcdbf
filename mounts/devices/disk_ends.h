// The first 384 KiB and the last 512 KiB of a disk, read at once, to rule out what is looked for in all of them. libblkid
// looks for two things page by page there, a ZFS label and an external log of XFS; without those a probe of it needs less
// than a third of the memory and reads. Used by device.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace mounts {

class DiskEnds {
  public:
    // Read from `fd`. Where that fails, or the disk is smaller than both together, nothing is ruled out.
    DiskEnds(int fd, uint64_t size_bytes);

    // A vdev has four labels of 256 KiB, two at each end, each with a list of name and value pairs at 16 KiB, which is in XDR:
    // its first byte is 1 (ZFS On-Disk Specification, 1.2 and 1.3).
    [[nodiscard]] bool may_be_zfs() const;

    // A log has records, and each begins with a sector that begins with a magic (Linux, fs/xfs/libxfs/xfs_log_format.h). libblkid
    // looks for one in the first 256 KiB.
    [[nodiscard]] bool may_be_xfs_log() const;

  private:
    static constexpr size_t begin_bytes = 384 << 10, end_bytes = 512 << 10;
    struct alignas(size_t{2} << 20) Buffer {  // a huge page, for one fault instead of two hundred
        std::byte begin[begin_bytes], end[end_bytes];
    };
    std::unique_ptr<Buffer> buffer_;  // null: not read
    uint64_t size_bytes_;
};

}  // namespace mounts
