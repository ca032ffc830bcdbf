#include <fcntl.h>
#include <linux/capability.h>
#include <linux/limits.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <cerrno>
#include <optional>
#include <string_view>

#include "unionfs/fuse/credentials.h"
#include "unionfs/fuse/guarded.h"
#include "unionfs/fuse/operations.h"
#include "unionfs/tree/preserved_times.h"
#include "unionfs/upper/xattr.h"

namespace unionfs {

namespace {

// XATTR_CREATE, XATTR_REPLACE and removal depend on what existed before the first try. A resent request may find its own
// result.
int check_first(Union &fs, Node &node, const Location &place, RequestKind kind, const char *name, int flags) {
    const ssize_t n = get_xattr(place.fd(), place.name.c_str(), name, nullptr, 0);
    const bool exists = n >= 0;
    if (!exists && !is_no_attribute(static_cast<int>(-n))) return static_cast<int>(-n);
    const JournalEntry &entry = fs.journal.note({.kind = kind, .node = fs.table.reference(&node), .existed = exists});
    if (flags == XATTR_CREATE && entry.existed) return EEXIST;
    if (flags != XATTR_REPLACE || entry.existed) return 0;
    return exists ? ENODATA : static_cast<int>(-n);  // EOPNOTSUPP: no attribute can have that name
}

// For an access ACL set by an owner outside the file's group. We count as being in every group, so the file system beneath
// keeps the bit.
int drop_set_group_id(const Location &place) {
    struct stat status{};
    if (::fstatat(place.fd(), place.name.c_str(), &status, place.flags()) < 0) return errno;
    if ((status.st_mode & S_ISGID) == 0) return 0;
    const mode_t mode = status.st_mode & 05777;
    if (place.name.empty()) return set_mode(place.fd(), mode);
    return ::fchmodat(place.fd(), place.name.c_str(), mode, 0) < 0 ? errno : 0;
}

void setxattr(fuse_req_t request, fuse_ino_t id, const char *shown, const char *value, size_t size, int flags) {
    Union &fs = union_of(request);
    Node &node = node_of(request, id);
    Location place;
    const std::string name = fs.layers.marks.name_on_disk(shown);
    int error = name.size() > XATTR_NAME_MAX ? EOPNOTSUPP : fs.copy_up(node);
    if (error == 0) error = fs.resolve_open(node, place);
    if (error == 0 && flags != 0) error = check_first(fs, node, place, RequestKind::set_attribute, name.c_str(), flags);
    let_change_show(node);
    if (error == 0) error = -set_xattr(place.fd(), place.name.c_str(), name.c_str(), value, size, 0);
    if (error == 0 && kill_set_id) error = drop_set_group_id(place);
    fuse_reply_err(request, error);
}

void getxattr(fuse_req_t request, fuse_ino_t id, const char *shown, size_t size) {
    Union &fs = union_of(request);
    Node &node = node_of(request, id);
    Location place;
    const std::string name = fs.layers.marks.name_on_disk(shown);
    int error = name.size() > XATTR_NAME_MAX ? ENODATA : fs.resolve_held(node, place);
    if (error == 0) error = Union::take_hold(node, place);
    if (error != 0) {
        fuse_reply_err(request, error);
        return;
    }
    std::string value(size, '\0');
    const ssize_t n = get_xattr(place.fd(), place.name.c_str(), name.c_str(), value.data(), size);
    if (n < 0)
        fuse_reply_err(request, static_cast<int>(-n));
    else if (size == 0)
        fuse_reply_xattr(request, static_cast<size_t>(n));
    else
        fuse_reply_buf(request, value.data(), static_cast<size_t>(n));
}

void listxattr(fuse_req_t request, fuse_ino_t id, size_t size) {
    Union &fs = union_of(request);
    Location place;
    std::vector<std::string> names;
    Node &node = node_of(request, id);
    int error = fs.resolve_held(node, place);
    if (error == 0) error = Union::take_hold(node, place);
    if (error == 0) error = xattr_names(place.fd(), place.name.c_str(), names);
    if (error != 0) {
        fuse_reply_err(request, error);
        return;
    }
    std::optional<bool> may_see_trusted;  // costs system calls, so ask only at the first such name
    std::string list;
    for (const std::string &name : names) {
        if (fs.layers.marks.is_mark(name)) continue;
        if (name.starts_with("trusted.")) {
            if (!may_see_trusted) may_see_trusted = Credentials(request).has_capability(CAP_SYS_ADMIN);
            if (!*may_see_trusted) continue;
        }
        list.append(fs.layers.marks.shown_name(name)).push_back('\0');
    }
    if (size == 0)
        fuse_reply_xattr(request, list.size());
    else if (size < list.size())
        fuse_reply_err(request, ERANGE);
    else
        fuse_reply_buf(request, list.data(), list.size());
}

void removexattr(fuse_req_t request, fuse_ino_t id, const char *shown) {
    Union &fs = union_of(request);
    Node &node = node_of(request, id);
    Location place;
    const std::string name = fs.layers.marks.name_on_disk(shown);
    int error = name.size() > XATTR_NAME_MAX ? ENODATA : fs.resolve_open(node, place);
    // Don't copy up for an attribute that doesn't exist.
    if (error == 0 && !node.upper)
        if (const ssize_t n = get_xattr(place.fd(), place.name.c_str(), name.c_str(), nullptr, 0); n < 0)
            error = static_cast<int>(-n);
    if (error == 0) error = fs.copy_up(node);
    if (error == 0) error = fs.resolve_open(node, place);
    if (error == 0) error = check_first(fs, node, place, RequestKind::remove_attribute, name.c_str(), XATTR_REPLACE);
    let_change_show(node);
    if (error == 0) error = -remove_xattr(place.fd(), place.name.c_str(), name.c_str());
    if (error == ENODATA && fs.journal.inherited()) error = 0;
    fuse_reply_err(request, error);
}

}  // namespace

void add_xattrs(fuse_lowlevel_ops &ops) {
    guard<setxattr>(ops.setxattr);
    guard<getxattr>(ops.getxattr);
    guard<listxattr>(ops.listxattr);
    guard<removexattr>(ops.removexattr);
}

}  // namespace unionfs
