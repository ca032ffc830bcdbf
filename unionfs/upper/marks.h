// overlayfs's marks on disk (Documentation/filesystems/overlayfs.rst): a character device 0:0 hides a name, and so does an
// empty file with overlay.whiteout. overlay.opaque "y" hides what the lowers have in a directory, overlay.redirect tells
// where a moved directory's lowers are, overlay.origin is on a directory that was copied up. Ours alone are
// overlay.unionfs.ino and what hard_links.h says. The former is "N PATH": the st_ino that a copied-up file had before, and
// where its lower has it. When the lower has it there no longer, another file may have that number by now. Versions before
// wrote no path.
//
// Methods return 0 or an errno. A layer that can't be read is an error, never a layer without marks.
#pragma once

#include <sys/stat.h>

#include <string>

namespace unionfs {

struct Marks {
    std::string prefix = "trusted.overlay.";

    // Everybody who may write to an object can set its user.* attributes.
    [[nodiscard]] bool anybody_may_set() const { return prefix.starts_with("user."); }

    [[nodiscard]] int has(int dir, const char *name, const char *which, bool &has) const;
    [[nodiscard]] int value(int dir, const char *name, const char *which, std::string &value) const;  // empty: none
    [[nodiscard]] int set(int dir, const char *name, const char *which, const std::string &value) const;

    [[nodiscard]] int is_whiteout(int dir, const char *name, const struct stat &status, bool &is) const;
    [[nodiscard]] int is_opaque(int dir, const char *name, bool &is) const;
    [[nodiscard]] int make_opaque(int dir, const char *name) const;
    [[nodiscard]] int check_has_data(int file) const;  // EIO: overlayfs left it elsewhere

    [[nodiscard]] int may_hold_marked_whiteouts(int dir, bool &may) const;
    [[nodiscard]] int admit_marked_whiteouts(int dir) const;  // before one comes to a directory
};

}  // namespace unionfs
