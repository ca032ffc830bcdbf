#include <fcntl.h>
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "unionfs/fuse/credentials.h"
#include "unionfs/fuse/guarded.h"
#include "unionfs/fuse/operations.h"
#include "unionfs/fuse/passthrough_writers.h"
#include "unionfs/tree/preserved_times.h"
#include "unionfs/upper/xattr.h"

namespace unionfs {

namespace {

// Like setattr_should_drop_sgid() in the kernel: without group execute, the bit stays if the caller could set it.
mode_t set_group_id_to_drop(const struct stat &status, const Credentials &caller) {
    if ((status.st_mode & S_ISGID) == 0) return 0;
    const bool keeps =
        (status.st_mode & S_IXGRP) == 0 && (caller.is_in_group(status.st_gid) || caller.has_capability(CAP_FSETID));
    return keeps ? 0 : S_ISGID;
}

int drop_bits(Union &fs, Node &node, const struct stat &status, mode_t drop) {
    if (drop == 0) return 0;
    FdRef fd;
    if (const int error = fs.data(node, true, fd); error != 0) return error;
    return ::fchmod(fd->get(), (status.st_mode & ~drop) & 07777) < 0 ? errno : 0;
}

}  // namespace

int drop_set_id(fuse_req_t request, Node &node, Kill kill) {
    Union &fs = union_of(request);
    struct stat status{};
    if (const int error = fs.attributes(node, status); error != 0) return error;
    if ((status.st_mode & (S_ISUID | S_ISGID)) == 0) return 0;
    const Credentials caller(request);
    if (kill == Kill::unless_capable && caller.has_capability(CAP_FSETID)) return 0;
    const mode_t drop = (status.st_mode & S_ISUID) | set_group_id_to_drop(status, caller);
    if (const int error = drop_bits(fs, node, status, drop); error != 0) return error;
    if (drop != 0) fs.changed_by_us(node);  // only the answer to a SETATTR gives the kernel the new mode, by which it executes
    return 0;
}

namespace {

void reply(fuse_req_t request, Node &node) {
    struct stat status{};
    end_passthrough_writes(union_of(request), node);
    const int error = union_of(request).attributes(node, status);
    if (error != 0)
        fuse_reply_err(request, error);
    else
        fuse_reply_attr(request, &status, attributes_stay(node));
}

void getattr(fuse_req_t request, fuse_ino_t id, fuse_file_info *) { reply(request, node_of(request, id)); }

int change_times(const Location &place, const struct stat &wanted, int which) {
    timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, {.tv_sec = 0, .tv_nsec = UTIME_OMIT}};
    if ((which & FUSE_SET_ATTR_ATIME_NOW) != 0)
        times[0].tv_nsec = UTIME_NOW;
    else if ((which & FUSE_SET_ATTR_ATIME) != 0)
        times[0] = wanted.st_atim;
    if ((which & FUSE_SET_ATTR_MTIME_NOW) != 0)
        times[1].tv_nsec = UTIME_NOW;
    else if ((which & FUSE_SET_ATTR_MTIME) != 0)
        times[1] = wanted.st_mtim;
    if (place.name.empty()) return set_times(place.fd(), times);
    return ::utimensat(place.fd(), place.name.c_str(), times, AT_SYMLINK_NOFOLLOW) < 0 ? errno : 0;
}

// chown(2) without a new owner still clears the bits, but it arrives as an empty SETATTR. The kernel sends the same before a
// write by a caller without CAP_FSETID. So if the caller isn't the owner, assume a write and do nothing.
int change_nothing(fuse_req_t request, Node &node) {
    Union &fs = union_of(request);
    struct stat status{};
    if (const int error = fs.attributes(node, status); error != 0) return error;
    if (!node.is_file() || (status.st_mode & (S_ISUID | S_ISGID)) == 0) return 0;
    if (fuse_req_ctx(request)->uid != status.st_uid && !Credentials(request).has_capability(CAP_FOWNER)) return 0;
    return drop_set_id(request, node, Kill::always);
}

// chown(2) by a caller outside the file's group also clears set-group-ID without group execute. Our own chown would keep it.
int change_owner(fuse_req_t request, Node &node, const Location &place, uid_t uid, gid_t gid) {
    Union &fs = union_of(request);
    struct stat status{};
    mode_t drop = 0;
    if (kill_set_id && node.is_file()) {
        if (const int error = fs.attributes(node, status); error != 0) return error;
        if ((status.st_mode & (S_ISGID | S_IXGRP)) == S_ISGID) drop = set_group_id_to_drop(status, Credentials(request));
    }
    if (::fchownat(place.fd(), place.name.c_str(), uid, gid, place.flags()) < 0) return errno;
    status.st_mode &= ~static_cast<mode_t>(S_ISUID);  // fchownat() cleared it
    return drop_bits(fs, node, status, drop);
}

int change(fuse_req_t request, Node &node, const struct stat &wanted, int which) {
    Union &fs = union_of(request);
    const bool truncate = (which & FUSE_SET_ATTR_SIZE) != 0;
    if (const int error = fs.copy_up(node, truncate ? wanted.st_size : -1, Told::by_the_answer); error != 0) return error;
    let_change_show(node);
    Location place;
    if (const int error = fs.resolve_open(node, place); error != 0) return error;
    if ((which & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID)) != 0) {
        const uid_t uid = (which & FUSE_SET_ATTR_UID) != 0 ? wanted.st_uid : static_cast<uid_t>(-1);
        const gid_t gid = (which & FUSE_SET_ATTR_GID) != 0 ? wanted.st_gid : static_cast<gid_t>(-1);
        if (const int error = change_owner(request, node, place, uid, gid); error != 0) return error;
    }
    if (truncate) {
        FdRef fd;
        if (const int error = fs.data(node, true, fd); error != 0) return error;
        if (kill_set_id)
            if (const int error = drop_set_id(request, node, Kill::always); error != 0) return error;
        if (::ftruncate(fd->get(), wanted.st_size) < 0) return errno;
    }
    if ((which & FUSE_SET_ATTR_MODE) != 0 && !S_ISLNK(node.type)) {
        const mode_t mode = wanted.st_mode & 07777;
        // A directory's name here is ".".
        if (!place.name.empty() && ::fchmodat(place.fd(), place.name.c_str(), mode, 0) < 0) return errno;
        if (place.name.empty())
            if (const int error = set_mode(place.fd(), mode); error != 0) return error;
    }
    static constexpr int times = FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_ATIME_NOW | FUSE_SET_ATTR_MTIME_NOW;
    return (which & times) != 0 ? change_times(place, wanted, which) : 0;
}

void setattr(fuse_req_t request, fuse_ino_t id, struct stat *wanted, int which, fuse_file_info *) {
    Node &node = node_of(request, id);
    const bool in_upper = node.upper;
    const int error = which == 0 ? change_nothing(request, node) : change(request, node, *wanted, which);
    if (error == 0) {
        reply(request, node);
        return;
    }
    if (!in_upper && node.upper) union_of(request).changed_by_us(node);  // an error reply carries no attributes
    fuse_reply_err(request, error);
}

void readlink(fuse_req_t request, fuse_ino_t id) {
    Location place;
    Node &node = node_of(request, id);
    int error = union_of(request).resolve_held(node, place);
    if (error == 0) error = Union::take_hold(node, place);
    std::array<char, PATH_MAX + 1> target{};
    if (error == 0 && ::readlinkat(place.fd(), place.name.c_str(), target.data(), PATH_MAX) < 0) error = errno;
    if (error != 0)
        fuse_reply_err(request, error);
    else
        fuse_reply_readlink(request, target.data());
}

void statfs(fuse_req_t request, fuse_ino_t) {
    Union &fs = union_of(request);
    struct statvfs status{};
    if (::fstatvfs((fs.layers.upper ? fs.layers.upper : fs.layers.lowers.front())->get(), &status) < 0)
        fuse_reply_err(request, errno);
    else
        fuse_reply_statfs(request, &status);
}

}  // namespace

void add_attributes(fuse_lowlevel_ops &ops) {
    guard<getattr>(ops.getattr);
    guard<setattr>(ops.setattr);
    guard<readlink>(ops.readlink);
    guard<statfs>(ops.statfs);
}

}  // namespace unionfs
