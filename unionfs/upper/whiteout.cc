// Makes whiteouts. See marks.h for how they are read.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>

#include "unionfs/upper/layers.h"

namespace unionfs {

std::string Layers::work_name() { return "#" + std::to_string(++next_work_name_); }

// All whiteouts are links to one shared device, as in overlayfs. On ext4, this halves the cost of making and removing one, and
// takes no inode.
int Layers::make_whiteout(int dir, const std::string &name) {
    for (bool is_new = false;; is_new = true) {
        if (::linkat(work->get(), shared_whiteout, dir, name.c_str(), 0) == 0) return 0;
        if (errno == EMLINK)
            (void)::unlinkat(work->get(), shared_whiteout, 0);  // existing links remain
        else if (errno != ENOENT || is_new)
            return errno;
        if (::mknodat(work->get(), shared_whiteout, S_IFCHR, makedev(0, 0)) < 0 && errno != EEXIST) break;
    }
    if (errno != EPERM) return errno;
    const std::string entry = work_name();
    const base::Fd fd(::openat(work->get(), entry.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0));
    if (!fd) return errno;
    int error = marks.set(work->get(), entry.c_str(), "whiteout", "y");
    if (error == 0 && dir != work->get()) error = marks.admit_marked_whiteouts(dir);
    if (error == 0 && ::renameat(work->get(), entry.c_str(), dir, name.c_str()) < 0) error = errno;
    if (error != 0) (void)::unlinkat(work->get(), entry.c_str(), 0);  // the first error matters
    return error;
}

int Layers::replace_by_whiteout(int dir, const std::string &name, bool directory) {
    const std::string entry = work_name();
    // RENAME_WHITEOUT does it in one step.
    if (::syscall(SYS_renameat2, dir, name.c_str(), work->get(), entry.c_str(), RENAME_WHITEOUT) == 0) {
        discard(entry);
        return 0;
    }
    if (errno == ENOSPC || errno == EDQUOT || errno == ENOENT) return errno;
    if (const int error = make_whiteout(work->get(), entry); error != 0) return error;
    if (marked_whiteouts)
        if (const int error = marks.admit_marked_whiteouts(dir); error != 0) return error;
    const int error =
        ::syscall(SYS_renameat2, work->get(), entry.c_str(), dir, name.c_str(), directory ? RENAME_EXCHANGE : 0U) < 0 ? errno : 0;
    if (error != 0 || directory) discard(entry);
    return error;
}

}  // namespace unionfs
