// The file systems to mount: the text of an fstab(5) as values. libmount parses the table. Options that begin with `x-stage1.`
// are stage1's own and are not passed to the kernel:
//
//   x-stage1.mkfs             format an empty device (the type must be ext4)
//   x-stage1.union=tmpfs|disk mount a writable union over this file system
//   x-stage1.optional         log a failure and continue (same as nofail)
//   x-nixos.autoresize        grow an ext4 to the size of its device (NixOS's own option)
//
// No side effects besides the parser's. The caller provides the text.
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
    std::string type;     // `auto`: whatever the device holds
    std::string options;  // for libmount, without x-stage1 options
    bool mkfs = false;
    bool optional = false;
    bool autoresize = false;
    UnionMode store_union = UnionMode::off;
    int check_pass = 0;  // fs_passno of fstab(5); 0: never checked
    int line = 0;        // line of the table; 0: not from a table
    bool operator==(const FileSystem &) const = default;
};

struct Fstab {
    std::vector<FileSystem> file_systems;  // in mount order (mount_order.h), root first
    std::vector<std::string> passed_over;  // skipped lines (swap, noauto), one sentence each
};

// The Error names the text (`name`), the line and the field that libmount or stage1 rejects: an unknown x-stage1 option, a
// mount point with `..`, no file system for `/`, two file systems for one mount point.
base::Result<Fstab> parse_fstab(const std::string &text, const std::string &name);

// The file systems of the 2013 module. msize_bytes is for 9p (see nine_p.h).
std::string default_fstab(uint32_t msize_bytes);

// Applies kernel parameters to the table: another root, the store's union, /boot, more shares.
base::Result<std::vector<FileSystem>> apply_parameters(std::vector<FileSystem> table, const BootParameters &parameters,
                                                       uint32_t msize_bytes);

}  // namespace mounts
