#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "unionfs/fuse/operations.h"
#include "unionfs/fuse/passthrough_writers.h"
#include "unionfs/tree/preserved_times.h"

namespace unionfs {

int drop_set_id(Union &fs, Node &node) {
    struct stat status{};
    if (const int error = fs.attributes(node, status); error != 0) return error;
    mode_t drop = status.st_mode & S_ISUID;
    if ((status.st_mode & S_IXGRP) != 0) drop |= status.st_mode & S_ISGID;  // else it marks mandatory locking: inode(7)
    if (drop == 0) return 0;
    FdRef fd;
    if (const int error = fs.data(node, true, fd); error != 0) return error;
    return ::fchmod(fd->get(), (status.st_mode & ~drop) & 07777) < 0 ? errno : 0;
}

namespace {

void reply(fuse_req_t request, Node &node) {
    struct stat status{};
    end_written_through(union_of(request), node);
    const int error = union_of(request).attributes(node, status);
    if (error != 0)
        fuse_reply_err(request, error);
    else
        fuse_reply_attr(request, &status, attributes_stay(node));
}

void getattr(fuse_req_t request, fuse_ino_t id, fuse_file_info *) { reply(request, node_of(request, id)); }

int set_times(const Where &place, const struct stat &wanted, int which) {
    timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, {.tv_sec = 0, .tv_nsec = UTIME_OMIT}};
    if ((which & FUSE_SET_ATTR_ATIME_NOW) != 0)
        times[0].tv_nsec = UTIME_NOW;
    else if ((which & FUSE_SET_ATTR_ATIME) != 0)
        times[0] = wanted.st_atim;
    if ((which & FUSE_SET_ATTR_MTIME_NOW) != 0)
        times[1].tv_nsec = UTIME_NOW;
    else if ((which & FUSE_SET_ATTR_MTIME) != 0)
        times[1] = wanted.st_mtim;
    const int result = place.name.empty() ? ::futimens(place.fd(), times)
                                          : ::utimensat(place.fd(), place.name.c_str(), times, AT_SYMLINK_NOFOLLOW);
    return result < 0 ? errno : 0;
}

int change(Union &fs, Node &node, const struct stat &wanted, int which) {
    const bool truncate = (which & FUSE_SET_ATTR_SIZE) != 0;
    if (const int error = fs.copy_up(node, truncate ? wanted.st_size : -1, Told::by_the_answer); error != 0) return error;
    let_change_be_seen(node);
    Where place;
    if (const int error = fs.reach(node, place); error != 0) return error;
    if ((which & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID)) != 0) {
        const uid_t uid = (which & FUSE_SET_ATTR_UID) != 0 ? wanted.st_uid : static_cast<uid_t>(-1);
        const gid_t gid = (which & FUSE_SET_ATTR_GID) != 0 ? wanted.st_gid : static_cast<gid_t>(-1);
        if (::fchownat(place.fd(), place.name.c_str(), uid, gid, place.flags()) < 0) return errno;
    }
    if (truncate) {
        FdRef fd;
        if (const int error = fs.data(node, true, fd); error != 0) return error;
        if (kill_set_id)
            if (const int error = drop_set_id(fs, node); error != 0) return error;
        if (::ftruncate(fd->get(), wanted.st_size) < 0) return errno;
    }
    if ((which & FUSE_SET_ATTR_MODE) != 0 && !S_ISLNK(node.type)) {
        const int result = place.name.empty() ? ::fchmod(place.fd(), wanted.st_mode & 07777)
                                              : ::fchmodat(place.fd(), place.name.c_str(), wanted.st_mode & 07777, 0);
        if (result < 0) return errno;
    }
    static constexpr int times = FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_ATIME_NOW | FUSE_SET_ATTR_MTIME_NOW;
    return (which & times) != 0 ? set_times(place, wanted, which) : 0;
}

void setattr(fuse_req_t request, fuse_ino_t id, struct stat *wanted, int which, fuse_file_info *) {
    Node &node = node_of(request, id);
    const bool in_upper = node.upper;
    const int error = change(union_of(request), node, *wanted, which);
    if (error == 0) {
        reply(request, node);
        return;
    }
    if (!in_upper && node.upper) union_of(request).changed_by_us(node);  // an error renews nothing
    fuse_reply_err(request, error);
}

void readlink(fuse_req_t request, fuse_ino_t id) {
    Where place;
    int error = union_of(request).hold(node_of(request, id), place);
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
    if (::fstatvfs((fs.upper ? fs.upper : fs.lowers.front())->get(), &status) < 0)
        fuse_reply_err(request, errno);
    else
        fuse_reply_statfs(request, &status);
}

}  // namespace

void add_attributes(fuse_lowlevel_ops &ops) {
    ops.getattr = getattr;
    ops.setattr = setattr;
    ops.readlink = readlink;
    ops.statfs = statfs;
}

}  // namespace unionfs
