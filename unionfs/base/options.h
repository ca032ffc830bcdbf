// What one mount was asked to be, as a value. unionfs/command/options.h makes it of a command line.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace unionfs {

// store: no message for a warm open or read, data in the page cache. throughput: passthrough to the backing file.
enum class Mode { automatic, store, throughput };

// Mounts on a lower. automatic: hidden where the kernel can.
enum class Submounts { automatic, hide, follow };

struct Options {
    std::vector<std::string> lowers;  // the topmost first
    std::string upper;                // empty: a union that can't be written to
    std::string work;                 // empty with an upper: a hidden sibling of it
    std::string mountpoint;
    std::string chroot;                  // all branches are beneath it
    std::string source = "unionfs";      // shown by mount(8)
    std::vector<std::string> for_mount;  // options that the kernel is given as they are: ro, nosuid, nodev, …
    Mode mode = Mode::automatic;
    Submounts submounts = Submounts::automatic;
    std::string trace;          // a file for the names at the root that are used (tree/name_trace.h); empty: none
    bool io_uring = false;      // requests come over it, and a dead worker is not replaced
    bool copy_on_write = true;  // unionfs-fuse's `cow`: without it, a file of a read-only branch can't be changed
    bool allow_other = false;
    bool nonempty = false;         // the mount point may hold files: today's kernel allows it always
    bool hide_meta_files = false;  // `.unionfs*` and `.fuse_hidden*` of the branches are not shown
    bool user_xattr = false;       // marks in user.overlay.* whatever we may do
    bool stale_readers = false;    // lower files are passed through too: who reads one doesn't see it change
    bool is_volatile = false;      // copies are not waited for: a power cut may leave them empty
    bool remount = false;          // what is mounted there already gets other options of the kernel's
    bool foreground = false;
    bool debug = false;
    bool help = false;
    bool version = false;
    unsigned max_files = 4096;    // descriptors kept open, whatever the number of inodes
    unsigned max_orphans = 1024;  // and of removed files in use; more are kept by a name in the workdir

    [[nodiscard]] bool hides(std::string_view name) const {
        return hide_meta_files && (name.starts_with(".unionfs") || name.starts_with(".fuse_hidden"));
    }
};

}  // namespace unionfs
