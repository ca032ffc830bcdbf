// An ext4 as mke2fs makes it, in memory: a sparse memfd as large as the device, with data only where mke2fs wrote.
//
// The same recipe makes the same bytes, always: names, seeds and the time are in it, nothing is drawn or looked up. So a
// format that was cut short can be told from anything else by comparing, and the device sees only what we decide to
// write, in our order. The device must read as zeros wherever the image has a hole.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace stage1 {

struct Ext4Recipe {
    uint64_t size_bytes = 0;
    uint32_t sector_bytes = 512;  // a block is no smaller than that
    std::string label;            // at most 16 bytes
    std::string uuid, hash_seed;  // 36 characters each
    int64_t time = 0;             // seconds since 1970, of every time stamp in it
    bool operator==(const Ext4Recipe &) const = default;
};

// mke2fs, a function that ends by exit(3), runs in a forked child beside the caller. Its defaults are Debian's for
// `mke2fs -t ext4`. Needs /proc.
class Ext4Image {
  public:
    static base::Result<Ext4Image> begin(const Ext4Recipe &recipe);
    Ext4Image(Ext4Image &&other) noexcept;
    Ext4Image(const Ext4Image &) = delete;
    Ext4Image &operator=(const Ext4Image &) = delete;
    ~Ext4Image();  // ends the child if nobody waited for it

    // Waits for mke2fs's end; the memfd, borrowed. The Error's hint is what mke2fs said.
    base::Result<int> wait();

  private:
    Ext4Image() = default;

    base::Fd image_, messages_;
    pid_t child_ = -1;  // -1: waited for
};

// A recipe for this device with fresh UUIDs and the present time.
Ext4Recipe new_ext4_recipe(uint64_t size_bytes, uint32_t sector_bytes, std::string label);

}  // namespace stage1
