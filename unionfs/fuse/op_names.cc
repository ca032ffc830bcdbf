#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "unionfs/fuse/caller.h"
#include "unionfs/fuse/guarded.h"
#include "unionfs/fuse/operations.h"

namespace unionfs {

fuse_entry_param entry_of(const Node &node, const struct stat &status) {
    fuse_entry_param entry{};
    entry.ino = reinterpret_cast<fuse_ino_t>(&node);
    entry.attr = status;
    entry.attr_timeout = attributes_stay(node);
    entry.entry_timeout = forever;
    return entry;
}

namespace {

void lookup(fuse_req_t request, fuse_ino_t parent, const char *name) {
    Node *node = nullptr;
    struct stat status{};
    Union &fs = union_of(request);
    Node &directory = node_of(request, parent);
    const int error = fs.lookup(directory, name, node, status);
    fuse_entry_param entry{};
    if (error == 0) {
        if (fs.trace) fs.trace->looked_up(fs, directory, name, *node);
        entry = entry_of(*node, status);
        if (directory.plain_token != 0 && !node->is_dir()) fs.readdirplus.looked_up(directory.plain_token.exchange(0));
    } else if (error == ENOENT) {
        entry.entry_timeout = forever;  // cache a missing name too
    } else {
        fuse_reply_err(request, error);
        return;
    }
    fuse_reply_entry(request, &entry);
}

void forget(fuse_req_t request, fuse_ino_t id, uint64_t lookups) {
    if (id != FUSE_ROOT_ID) union_of(request).table.forget(&node_of(request, id), lookups);
    fuse_reply_none(request);
}

void forget_multi(fuse_req_t request, size_t count, fuse_forget_data *forgets) {
    for (size_t i = 0; i < count; ++i)
        if (forgets[i].ino != FUSE_ROOT_ID) union_of(request).table.forget(&node_of(request, forgets[i].ino), forgets[i].nlookup);
    fuse_reply_none(request);
}

// Drops a Node's lookup unless the kernel learns of the Node. Then the kernel drops it later.
class Forgotten {
  public:
    Forgotten(Union &fs, Node *node) : fs_(fs), node_(node) {}
    ~Forgotten() {
        if (node_ != nullptr) fs_.table.forget(node_, 1);
    }
    Forgotten(const Forgotten &) = delete;
    Forgotten &operator=(const Forgotten &) = delete;
    void keep() { node_ = nullptr; }

  private:
    Union &fs_;
    Node *node_;
};

// Makes a name as the calling process and answers with its entry.
void make_entry(fuse_req_t request, fuse_ino_t parent, const char *name, bool directory,
                const std::function<int(int, const char *)> &create) {
    Union &fs = union_of(request);
    Node &dir = node_of(request, parent);
    const fuse_ctx *context = fuse_req_ctx(request);
    int error = fs.make(dir, name, directory, [&](int at, const char *as) {
        const Caller caller(fs.layers.privileged, context->uid, context->gid, context->umask);
        return create(at, as) < 0 ? errno : 0;
    });
    Node *node = nullptr;
    struct stat status{};
    if (fs.trace) fs.trace->used(fs, dir);
    if (error == 0) error = fs.intern_made(dir, name, {}, node, status);
    if (error != 0) {
        fuse_reply_err(request, error);
        return;
    }
    const fuse_entry_param entry = entry_of(*node, status);
    fuse_reply_entry(request, &entry);
}

void mknod(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode, dev_t device) {
    // 0:0 would read as a whiteout. overlayfs refuses it too.
    if (S_ISCHR(mode) && device == 0) {
        fuse_reply_err(request, EPERM);
        return;
    }
    make_entry(request, parent, name, false, [&](int at, const char *as) { return ::mknodat(at, as, mode, device); });
}

void mkdir(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode) {
    make_entry(request, parent, name, true, [&](int at, const char *as) { return ::mkdirat(at, as, mode); });
}

void symlink(fuse_req_t request, const char *target, fuse_ino_t parent, const char *name) {
    make_entry(request, parent, name, false, [&](int at, const char *as) { return ::symlinkat(target, at, as); });
}

void create(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode, fuse_file_info *info) {
    Session &session = session_of(request);
    Union &fs = session.fs;
    Node &dir = node_of(request, parent);
    const fuse_ctx *context = fuse_req_ctx(request);
    base::Fd file;
    int error = fs.make(dir, name, false, [&](int at, const char *as) {
        const Caller caller(fs.layers.privileged, context->uid, context->gid, context->umask);
        file.reset(::openat(at, as, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
        return file ? 0 : errno;
    });
    if (error == EEXIST && (info->flags & O_EXCL) == 0) error = 0;
    if (fs.trace) fs.trace->used(fs, dir);
    Node *node = nullptr;
    struct stat status{};
    if (error == 0) error = file ? fs.intern_made(dir, name, std::move(file), node, status) : fs.lookup(dir, name, node, status);
    Forgotten unless_told(fs, node);
    if (error == 0) error = open_file(session, request, *node, *info);
    if (error != 0) {
        fuse_reply_err(request, error);
        return;
    }
    unless_told.keep();
    const fuse_entry_param entry = entry_of(*node, status);
    fuse_reply_create(request, &entry, info);
}

void tmpfile(fuse_req_t request, fuse_ino_t parent, mode_t mode, fuse_file_info *info) {
    Session &session = session_of(request);
    Union &fs = session.fs;
    Node &dir = node_of(request, parent);
    const fuse_ctx *context = fuse_req_ctx(request);
    FdRef at;
    base::Fd fd;
    int error = fs.copy_up(dir);
    if (error == 0) error = fs.upper_dir(dir, at);
    if (error == 0) {
        const Caller caller(fs.layers.privileged, context->uid, context->gid, context->umask);
        fd.reset(::openat(at->get(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode));
        if (!fd) error = errno;
    }
    struct stat status{};
    if (error == 0 && ::fstat(fd.get(), &status) < 0) error = errno;
    Node *node = nullptr;
    if (error == 0) {
        const Key key{status.st_dev, status.st_ino};
        node = fs.table.intern(key, nullptr, {}, [&](Node &made) {
            made.type = S_IFREG;
            made.upper = true;
            made.upper_key = key;
            made.shown_inode = fs.layers.number_of(key);
        });
        node->removed = true;
        error = fs.keep_unnamed(*node, std::move(fd));
    }
    Forgotten unless_told(fs, node);
    if (error == 0) error = open_file(session, request, *node, *info);
    if (error != 0) {
        fuse_reply_err(request, error);
        return;
    }
    unless_told.keep();
    fs.show(*node, status);
    const fuse_entry_param entry = entry_of(*node, status);
    fuse_reply_create(request, &entry, info);
}

void link(fuse_req_t request, fuse_ino_t id, fuse_ino_t parent, const char *name) {
    Union &fs = union_of(request);
    Node &dir = node_of(request, parent);
    Node &from = node_of(request, id);
    int error = fs.link(from, dir, name);
    Node *node = nullptr;
    struct stat status{};
    if (error == 0) error = fs.lookup(dir, name, node, status);
    if (error != 0) {
        fuse_reply_err(request, error);
        return;
    }
    const fuse_entry_param entry = entry_of(*node, status);
    fuse_reply_entry(request, &entry);
}

void unlink(fuse_req_t request, fuse_ino_t parent, const char *name) {
    fuse_reply_err(request, union_of(request).remove(node_of(request, parent), name, false));
}

void rmdir(fuse_req_t request, fuse_ino_t parent, const char *name) {
    fuse_reply_err(request, union_of(request).remove(node_of(request, parent), name, true));
}

void rename(fuse_req_t request, fuse_ino_t parent, const char *name, fuse_ino_t new_parent, const char *new_name,
            unsigned flags) {
    fuse_reply_err(request,
                   union_of(request).rename(node_of(request, parent), name, node_of(request, new_parent), new_name, flags));
}

}  // namespace

void add_names(fuse_lowlevel_ops &ops) {
    guard<lookup>(ops.lookup);
    guard<forget>(ops.forget);
    guard<forget_multi>(ops.forget_multi);
    guard<mknod>(ops.mknod);
    guard<mkdir>(ops.mkdir);
    guard<symlink>(ops.symlink);
    guard<create>(ops.create);
    guard<tmpfile>(ops.tmpfile);
    guard<link>(ops.link);
    guard<unlink>(ops.unlink);
    guard<rmdir>(ops.rmdir);
    guard<rename>(ops.rename);
}

}  // namespace unionfs
