// overlayfs's marks on disk: whiteouts and opaque folders.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>

#include "unionfs/tree/union.h"
#include "unionfs/upper/xattr.h"

namespace unionfs {

int Union::has_mark(int dir, const char *name, const char *which, bool &has) const {
    const ssize_t n = get_xattr(dir, name, (mark + which).c_str(), nullptr, 0);
    has = n >= 0;
    return n >= 0 || is_no_attribute(static_cast<int>(-n)) ? 0 : static_cast<int>(-n);
}

int Union::mark_value(int dir, const char *name, const char *which, std::string &value) const {
    const int error = xattr_value(dir, name, mark + which, value);
    return is_no_attribute(error) ? 0 : error;
}

int Union::is_whiteout(int dir, const char *name, const struct stat &status, bool &is) const {
    is = S_ISCHR(status.st_mode) && status.st_rdev == makedev(0, 0);
    // overlay.whiteout on an empty file: where mknod is not allowed (overlayfs.rst, "Whiteouts and opaque directories").
    if (!S_ISREG(status.st_mode) || status.st_size != 0) return 0;
    if (const int error = has_mark(dir, name, "whiteout", is); error != 0 || !is) return error;
    return may_hold_marked_whiteouts(dir, is);
}

// overlayfs's metacopy=on left the data in a lower: what is here would read as zeros.
int Union::check_has_data(int file) const {
    bool elsewhere = false;
    const int error = has_mark(file, "", "metacopy", elsewhere);
    return elsewhere ? EIO : error;
}

// overlayfs reads whiteouts made of an attribute only in folders marked "x". A listing asks once a folder, not of each file.
int Union::may_hold_marked_whiteouts(int dir, bool &may) const {
    may = true;
    return mark[0] == 'u' ? 0 : has_mark(dir, ".", "opaque", may);
}

int Union::admit_marked_whiteouts(int dir) const {
    bool opaque = false;
    if (const int error = is_opaque(dir, ".", opaque); error != 0 || opaque) return error;
    return -set_xattr(dir, ".", (mark + "opaque").c_str(), "x", 1);
}

int Union::is_opaque(int dir, const char *name, bool &is) const {
    char value = 0;
    const ssize_t n = get_xattr(dir, name, (mark + "opaque").c_str(), &value, 1);
    is = n == 1 && value == 'y';
    return n >= 0 || n == -ERANGE || is_no_attribute(static_cast<int>(-n)) ? 0 : static_cast<int>(-n);
}

int Union::make_opaque(int dir, const char *name) const { return -set_xattr(dir, name, (mark + "opaque").c_str(), "y", 1); }

std::string Union::work_name() { return "#" + std::to_string(++next_work_name_); }

// Whiteouts are links to one, as overlayfs's are: on ext4 that costs half, both now and when they go, and takes no inode.
int Union::make_whiteout(int dir, const std::string &name) {
    static constexpr const char *shared = "../whiteout";  // in the workdir, seen from its folder `work`
    for (bool is_new = false;; is_new = true) {
        if (::linkat(work->get(), shared, dir, name.c_str(), 0) == 0) return 0;
        if (errno == EMLINK)
            (void)::unlinkat(work->get(), shared, 0);  // its links stay
        else if (errno != ENOENT || is_new)
            return errno;
        if (::mknodat(work->get(), shared, S_IFCHR, makedev(0, 0)) < 0 && errno != EEXIST) break;
    }
    if (errno != EPERM) return errno;
    const std::string entry = work_name();
    const base::Fd fd(::openat(work->get(), entry.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0));
    if (!fd) return errno;
    int error = -set_xattr(work->get(), entry.c_str(), (mark + "whiteout").c_str(), "y", 1);
    if (error == 0 && dir != work->get()) error = admit_marked_whiteouts(dir);
    if (error == 0 && ::renameat(work->get(), entry.c_str(), dir, name.c_str()) < 0) error = errno;
    if (error != 0) (void)::unlinkat(work->get(), entry.c_str(), 0);  // the error returned is the one that matters
    return error;
}

int Union::replace_by_whiteout(int dir, const std::string &name, bool folder) {
    const std::string entry = work_name();
    // RENAME_WHITEOUT does it in one step.
    if (::syscall(SYS_renameat2, dir, name.c_str(), work->get(), entry.c_str(), RENAME_WHITEOUT) == 0) {
        discard(entry);
        return 0;
    }
    if (errno == ENOSPC || errno == EDQUOT || errno == ENOENT) return errno;
    if (const int error = make_whiteout(work->get(), entry); error != 0) return error;
    if (marked_whiteouts)
        if (const int error = admit_marked_whiteouts(dir); error != 0) return error;
    const int error =
        ::syscall(SYS_renameat2, work->get(), entry.c_str(), dir, name.c_str(), folder ? RENAME_EXCHANGE : 0U) < 0 ? errno : 0;
    if (error != 0 || folder) discard(entry);
    return error;
}

}  // namespace unionfs
