#include "unionfs/upper/marks.h"

#include <sys/sysmacros.h>

#include <cerrno>

#include "unionfs/upper/xattr.h"

namespace unionfs {

namespace {
constexpr std::string_view escape = "overlay.";
}

bool Marks::is_mark(std::string_view on_disk) const {
    return on_disk.starts_with(prefix) && !on_disk.substr(prefix.size()).starts_with(escape);
}

std::string Marks::name_on_disk(std::string_view shown) const {
    std::string name(shown);
    if (shown.starts_with(prefix)) name.insert(prefix.size(), escape);
    return name;
}

std::string Marks::shown_name(std::string_view on_disk) const {
    std::string name(on_disk);
    if (on_disk.starts_with(prefix) && !is_mark(on_disk)) name.erase(prefix.size(), escape.size());
    return name;
}

int Marks::has(int dir, const char *name, const char *which, bool &found) const {
    const ssize_t n = get_xattr(dir, name, (prefix + which).c_str(), nullptr, 0);
    found = n >= 0;
    return n >= 0 || is_no_attribute(static_cast<int>(-n)) ? 0 : static_cast<int>(-n);
}

int Marks::value(int dir, const char *name, const char *which, std::string &found) const {
    const int error = xattr_value(dir, name, prefix + which, found);
    return is_no_attribute(error) ? 0 : error;
}

int Marks::set(int dir, const char *name, const char *which, const std::string &text) const {
    return -set_xattr(dir, name, (prefix + which).c_str(), text.data(), text.size());
}

int Marks::is_whiteout(int dir, const char *name, const struct stat &status, bool &is) const {
    is = S_ISCHR(status.st_mode) && status.st_rdev == makedev(0, 0);
    // An empty file with overlay.whiteout is used where mknod is not allowed (overlayfs.rst, "Whiteouts and opaque
    // directories").
    if (!S_ISREG(status.st_mode) || status.st_size != 0) return 0;
    if (const int error = has(dir, name, "whiteout", is); error != 0 || !is) return error;
    return may_hold_marked_whiteouts(dir, is);
}

// With metacopy=on, overlayfs leaves the data in a lower. This file would read as zeros.
int Marks::check_has_data(int file) const {
    bool elsewhere = false;
    const int error = has(file, "", "metacopy", elsewhere);
    return elsewhere ? EIO : error;
}

// overlayfs recognizes attribute whiteouts only in directories marked "x". A listing checks this once per directory, not once
// per file.
int Marks::may_hold_marked_whiteouts(int dir, bool &may) const {
    may = true;
    return anybody_may_set() ? 0 : has(dir, ".", "opaque", may);
}

int Marks::admit_marked_whiteouts(int dir) const {
    bool opaque = false;
    if (const int error = is_opaque(dir, ".", opaque); error != 0 || opaque) return error;
    return set(dir, ".", "opaque", "x");
}

int Marks::is_opaque(int dir, const char *name, bool &is) const {
    char value = 0;
    const ssize_t n = get_xattr(dir, name, (prefix + "opaque").c_str(), &value, 1);
    is = n == 1 && value == 'y';
    return n >= 0 || n == -ERANGE || is_no_attribute(static_cast<int>(-n)) ? 0 : static_cast<int>(-n);
}

int Marks::make_opaque(int dir, const char *name) const { return set(dir, name, "opaque", "y"); }

}  // namespace unionfs
