// An ext4 that mke2fs creates in memory: a sparse memfd as large as the device, with data only where mke2fs wrote.
//
// The same recipe always makes the same bytes, because it contains all names, seeds and the time. So an interrupted format can
// be recognized by comparing, and stage1 decides what is written to the device and in which order. The device must read as
// zeros wherever the image has a hole.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace stage1 {

struct Ext4Recipe {
    uint64_t size_bytes = 0;
    uint32_t sector_bytes = 512;  // the minimum size of a block
    std::string label;            // at most 16 bytes
    std::string uuid, hash_seed;  // 36 characters each
    int64_t time = 0;             // of all timestamps in the image, in seconds since 1970
    bool operator==(const Ext4Recipe &) const = default;
};

// Runs mke2fs in a forked child, concurrently, because mke2fs ends with exit(3). Its defaults are Debian's for `mke2fs -t
// ext4`. Needs /proc.
class Ext4Image {
  public:
    static base::Result<Ext4Image> begin(const Ext4Recipe &recipe);
    Ext4Image(Ext4Image &&other) noexcept;
    Ext4Image(const Ext4Image &) = delete;
    Ext4Image &operator=(const Ext4Image &) = delete;
    ~Ext4Image();  // kills the child if nobody waited for it

    // Waits until mke2fs ends. Returns the memfd, borrowed. The Error's hint is mke2fs's output.
    base::Result<int> wait();

  private:
    Ext4Image() = default;

    base::Fd image_, messages_;
    pid_t child_ = -1;  // -1: already waited for
};

// A recipe for a device of this size, with new UUIDs and the current time.
Ext4Recipe new_ext4_recipe(uint64_t size_bytes, uint32_t sector_bytes, std::string label);

}  // namespace stage1
