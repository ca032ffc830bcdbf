// The options of one mount, as a value. unionfs/command/options.h makes it from a command line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace unionfs {

// store: warm opens and reads cost no message, because the page cache has the data. throughput: passthrough to the backing
// file.
enum class Mode { automatic, store, throughput };

// What to do with mounts on a lower. automatic: hide them if the kernel can.
enum class Submounts { automatic, hide, follow };

struct Options {
    std::vector<std::string> lowers;  // topmost first
    std::string upper;                // empty: the union is read-only
    std::string work;                 // if empty, a hidden sibling of the upper is used
    std::string mountpoint;
    std::string chroot;                  // all branches are inside it
    std::string source = "unionfs";      // shown by mount(8)
    std::vector<std::string> for_mount;  // options passed to the kernel unchanged: ro, nosuid, nodev, …
    Mode mode = Mode::automatic;
    Submounts submounts = Submounts::automatic;
    std::string trace;          // file that receives the used names of the root (tree/name_trace.h); empty: none
    bool io_uring = false;      // requests come over io_uring, and a dead worker is not replaced
    bool copy_on_write = true;  // unionfs-fuse's `cow`; if false, files of read-only branches can't be changed
    bool allow_other = false;
    bool nonempty = false;         // the mount point may hold files; today's kernel always allows it
    bool hide_meta_files = false;  // don't show `.unionfs*` and `.fuse_hidden*` of the branches
    bool user_xattr = false;       // always put marks in user.overlay.*
    bool stale_readers = false;    // pass lower files through too; a reader of one doesn't see it change
    bool is_volatile = false;      // don't wait for copies to reach the disk; a power cut may leave them empty
    bool remount = false;          // change the kernel's options of an existing mount
    bool foreground = false;
    bool debug = false;
    bool help = false;
    bool version = false;
    unsigned max_files = 4096;    // descriptors kept open, however many inodes there are
    unsigned max_orphans = 1024;  // descriptors of removed files in use; beyond that, a name in the workdir keeps the file

    [[nodiscard]] bool hides(std::string_view name) const {
        return hide_meta_files && (name.starts_with(".unionfs") || name.starts_with(".fuse_hidden"));
    }
};

}  // namespace unionfs
