// An ext4 as mke2fs makes it, in memory: a sparse memfd as large as the device, with data only where mke2fs wrote.
//
// The same recipe makes the same bytes, always: names, seeds and the time are in it, nothing is drawn or looked up. So a
// format that was cut short can be told from anything else by comparing, and the device sees only what we decide to
// write, in our order. The device must read as zeros wherever the image has a hole.
#pragma once

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

// Runs mke2fs as a function in a forked child (it ends by exit(3)). Its defaults are Debian's for `mke2fs -t ext4`.
// Needs /proc. The Error's hint is what mke2fs said.
base::Result<base::Fd> make_ext4_image(const Ext4Recipe &recipe);

// A recipe for this device with fresh UUIDs and the present time.
Ext4Recipe new_ext4_recipe(uint64_t size_bytes, uint32_t sector_bytes, std::string label);

}  // namespace stage1
