// What is to be mounted: an fstab(5) text as values. The table is parsed by libmount; options that begin with
// `x-stage1.` are ours and are taken out of what the kernel is told:
//
//   x-stage1.mkfs             an empty device is formatted (as ext4, the type must say so)
//   x-stage1.union=tmpfs|disk a writable union is laid over this file system
//   x-stage1.optional         its absence is logged, not fatal (as nofail)
//   x-nixos.autoresize        an ext4 is grown to its device (NixOS's own option)
//
// No effects but the parser's; where the text comes from is the caller's.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "mounts/base/error.h"
#include "mounts/boot/boot_parameters.h"

namespace mounts {

struct FileSystem {
    std::string source;   // as in source.h, a 9p mount tag, or a name such as `tmpfs`
    std::string target;   // absolute, in the target root
    std::string type;     // `auto`: whatever is found
    std::string options;  // for libmount; without ours
    bool mkfs = false;
    bool optional = false;
    bool autoresize = false;
    UnionMode store_union = UnionMode::off;
    int check_pass = 0;  // fs_passno of fstab(5); 0: never checked
    int line = 0;        // of the table; 0: not of one
    bool operator==(const FileSystem &) const = default;
};

struct Fstab {
    std::vector<FileSystem> file_systems;  // in the order of mount_order.h, root first
    std::vector<std::string> passed_over;  // a sentence each: swap space, noauto
};

// Error: `name` as the object, and the line and the field that are wrong, by what libmount or we demand of it:
// an x-stage1 option that there is not, a mount point with `..`, no file system for `/`, two for one mount point.
base::Result<Fstab> parse_fstab(const std::string &text, const std::string &name);

// The 2013 module's file systems. msize_bytes is 9p's (see nine_p.h).
std::string default_fstab(uint32_t msize_bytes);

// What the kernel parameters say beyond the table: another root, the store's union, /boot, more shares.
base::Result<std::vector<FileSystem>> apply_parameters(std::vector<FileSystem> table, const BootParameters &parameters,
                                                       uint32_t msize_bytes);

}  // namespace mounts
