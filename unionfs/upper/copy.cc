// Copies a lower object: its data (by reflink, else copy_file_range, else sendfile; holes stay holes), owner, mode, times and
// attributes. The copy is made in the work directory, so nobody sees it before it is complete.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <string>

#include "unionfs/upper/copy_data.h"
#include "unionfs/upper/layers.h"
#include "unionfs/upper/xattr.h"

namespace unionfs {

namespace {

// Copies one range of data. copy_file_range and sendfile may each be unsupported.
int copy_stretch(int from, int to, off_t at, off_t end) {
    static constexpr size_t most = size_t{8} << 20;
    bool range = true;
    while (at < end) {
        const size_t size = std::min<size_t>(most, static_cast<size_t>(end - at));
        off_t in = at, out = at;
        ssize_t n = -1;
        if (range) {
            n = ::copy_file_range(from, &in, to, &out, size, 0);
            if (n < 0 && errno != ENOSPC && errno != EDQUOT && errno != EIO) range = false;
        }
        if (!range) {
            if (::lseek(to, at, SEEK_SET) < 0) return errno;
            in = at;
            n = ::sendfile(to, from, &in, size);
        }
        if (n < 0) return errno;
        if (n == 0) return 0;  // shorter than its size said
        at += n;
    }
    return 0;
}

}  // namespace

int copy_data(int from, int to, off_t size, bool has_holes) {
    if (size == 0) return 0;
    if (::ioctl(to, FICLONE, from) == 0) return ::ftruncate(to, size) < 0 ? errno : 0;
    if (!has_holes) return copy_stretch(from, to, 0, size);
    if (::ftruncate(to, size) < 0) return errno;
    for (off_t at = 0; at < size;) {
        const off_t data = ::lseek(from, at, SEEK_DATA);
        if (data < 0 && errno == ENXIO) return 0;  // a hole up to the end
        const off_t begin = data < 0 ? at : data;
        const off_t hole = data < 0 ? size : ::lseek(from, begin, SEEK_HOLE);
        const off_t end = hole < 0 ? size : std::min(hole, size);
        if (begin >= size) return 0;
        if (const int error = copy_stretch(from, to, begin, end); error != 0) return error;
        at = end;
    }
    return 0;
}

int copy_attributes(int from_dir, const char *from, int to_dir, const char *to, const struct stat &status, const Marks &marks,
                    struct stat &made) {
    const bool empty = *to == '\0';
    const int flags = empty ? AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW;
    if (::fstatat(to_dir, to, &made, flags) < 0) return errno;
    const bool other_owner = made.st_uid != status.st_uid || made.st_gid != status.st_gid;
    mode_t mode = status.st_mode & 07777;
    if (other_owner && ::fchownat(to_dir, to, status.st_uid, status.st_gid, flags) < 0) {
        if (errno != EPERM) return errno;
        if (!S_ISDIR(status.st_mode)) mode &= 01777;  // set-ID bits must not pass to another owner
    }
    std::vector<std::string> attributes;
    if (const int error = xattr_names(from_dir, from, attributes); error != 0) return error;
    for (const std::string &attribute : attributes) {
        if (marks.is_mark(attribute)) continue;
        std::string value;
        int error = xattr_value(from_dir, from, attribute, value);
        if (is_no_attribute(error)) continue;
        if (error != 0) return error;
        error = -set_xattr(to_dir, to, attribute.c_str(), value.data(), value.size());
        // As with overlayfs, an attribute that the upper can't hold is lost. A full disk is an error, and so is a lost ACL:
        // without it, the mode's group bits would let the whole group do what the ACL allows to somebody.
        const bool may_be_lost = !attribute.starts_with("system.posix_acl_");
        if (error != 0 && !(may_be_lost && (error == EOPNOTSUPP || error == EPERM || error == EINVAL))) return error;
    }
    if (!S_ISLNK(status.st_mode) && (other_owner || made.st_mode != status.st_mode)) {
        const int error = empty ? ::fchmod(to_dir, mode) : ::fchmodat(to_dir, to, mode, 0);
        if (error < 0) return errno;
    }
    const timespec times[2] = {status.st_atim, status.st_mtim};
    if ((empty ? ::futimens(to_dir, times) : ::utimensat(to_dir, to, times, AT_SYMLINK_NOFOLLOW)) < 0) return errno;
    return 0;
}

int Layers::fill_copy(const base::Fd &source, int from_dir, const char *from_name, const struct stat &status, off_t size,
                      const std::string &origin, StagedCopy &made) const {
    int error = 0;
    if (source) {
        const bool has_holes = status.st_blocks < (status.st_size + 511) / 512;
        error = copy_data(source.get(), made.file.get(), size < 0 ? status.st_size : std::min(size, status.st_size), has_holes);
    }
    // Prefer descriptors: a call without a lookup costs less than half as much.
    const int to_dir = source ? made.file.get() : work->get();
    const char *to_name = source ? "" : made.entry.c_str();
    struct stat empty{};
    if (error == 0) error = copy_attributes(from_dir, from_name, to_dir, to_name, status, marks, empty);
    if (error != 0) return error;
    made.key = key_of(empty);
    // user.* works on files only. Without this attribute, only the inode number changes at the next mount.
    (void)marks.set(to_dir, to_name, "unionfs.ino", origin);
    // After a power cut, the upper must not have a name whose data never reached the disk. overlayfs waits for the data too.
    if (source && !options.is_volatile && ::fsync(made.file.get()) < 0) return errno;
    return 0;
}

int Layers::stage_copy(const base::Fd &source, int from_dir, const char *from_name, const struct stat &status, off_t size,
                       const std::string &origin, StagedCopy &made) {
    made.entry = work_name();
    if (source) {
        made.file.reset(::openat(work->get(), made.entry.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, status.st_mode & 0777));
        if (!made.file) return errno;
    } else if (S_ISLNK(status.st_mode)) {
        std::string target(PATH_MAX, '\0');
        const ssize_t n = ::readlinkat(from_dir, from_name, target.data(), target.size());
        if (n < 0) return errno;
        target.resize(static_cast<size_t>(n));
        if (::symlinkat(target.c_str(), work->get(), made.entry.c_str()) < 0) return errno;
    } else if (::mknodat(work->get(), made.entry.c_str(), status.st_mode & (S_IFMT | 0600), status.st_rdev) < 0) {
        return errno;
    }
    const int error = fill_copy(source, from_dir, from_name, status, size, origin, made);
    if (error != 0) discard(made.entry);
    return error;
}

int Layers::stage_directory(int from_dir, const struct stat &status, StagedCopy &made) {
    made.entry = work_name();
    if (::mkdirat(work->get(), made.entry.c_str(), status.st_mode & 0777) < 0) return errno;
    struct stat empty{};
    int error = copy_attributes(from_dir, ".", work->get(), made.entry.c_str(), status, marks, empty);
    made.key = key_of(empty);
    // An empty value marks a copied-up directory, as overlayfs does for a lower without file handles.
    if (error == 0) error = marks.set(work->get(), made.entry.c_str(), "origin", "");
    if (error != 0) discard(made.entry);
    return error;
}

}  // namespace unionfs
