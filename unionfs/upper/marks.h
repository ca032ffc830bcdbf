// overlayfs's marks on disk (Documentation/filesystems/overlayfs.rst). A character device 0:0 hides a name, and so does an
// empty file with overlay.whiteout. overlay.opaque "y" hides the lowers' part of a directory. overlay.redirect tells where a
// moved directory's lowers are. overlay.origin marks a directory that was copied up. Two marks are unionfs's own:
// overlay.unionfs.ino, and the ones in hard_links.h. overlay.unionfs.ino is "N PATH": the st_ino of a file before its copy-up,
// and its path in the lower. If the lower no longer has the file there, it may have given the number to another file. Older
// versions wrote no path.
//
// Methods return 0 or an errno. A layer that can't be read is an error, never a layer without marks.
#pragma once

#include <sys/stat.h>

#include <string>
#include <string_view>

namespace unionfs {

struct Marks {
    std::string prefix = "trusted.overlay.";

    // user.* attributes can be set by anyone who may write to the object.
    [[nodiscard]] bool anybody_may_set() const { return prefix.starts_with("user."); }

    // As in overlayfs, an attribute that is named like a mark gets the prefix "overlay.overlay." on disk, so that the union can
    // be a layer of an overlayfs. Both return other names as they are.
    [[nodiscard]] bool is_mark(std::string_view on_disk) const;
    [[nodiscard]] std::string name_on_disk(std::string_view shown) const;
    [[nodiscard]] std::string shown_name(std::string_view on_disk) const;

    [[nodiscard]] int has(int dir, const char *name, const char *which, bool &has) const;
    [[nodiscard]] int value(int dir, const char *name, const char *which, std::string &value) const;  // empty: none
    [[nodiscard]] int set(int dir, const char *name, const char *which, const std::string &value) const;

    [[nodiscard]] int is_whiteout(int dir, const char *name, const struct stat &status, bool &is) const;
    [[nodiscard]] int is_opaque(int dir, const char *name, bool &is) const;
    [[nodiscard]] int make_opaque(int dir, const char *name) const;
    [[nodiscard]] int check_has_data(int file) const;  // EIO: overlayfs left the data elsewhere

    [[nodiscard]] int may_hold_marked_whiteouts(int dir, bool &may) const;
    [[nodiscard]] int admit_marked_whiteouts(int dir) const;  // call before adding one to a directory
};

}  // namespace unionfs
