// The FUSE operations, a file a group (op_*.cc), and what they share. A node id is the address of its Node, 1 the root's.
#pragma once

#define FUSE_USE_VERSION FUSE_MAKE_VERSION(3, 17)
#include <fuse3/fuse_lowlevel.h>

#include <span>

#include "unionfs/tree/union.h"

namespace unionfs {

struct Session {
    Union &fs;
    Mode mode;                 // never automatic
    int device = -1;           // /dev/fuse, for backing files
    int processes = -1;        // /proc, for what the kernel's messages leave out of a caller
    bool passthrough = false;  // taken by the kernel at INIT
    bool no_open = false;
};

// Nobody changes the layers but us, and what we change the kernel knows: nothing it cached ever expires.
inline constexpr double forever = 1e9;  // seconds
// But of a file that was left to its readers, for it changes through another Node, and of one that is written to unseen.
inline double attributes_stay(const Node &node) { return node.left || node.is_written_through() ? 0 : forever; }

// The kernel's wish that set-ID bits are dropped, which libfuse's write, setattr and setxattr don't pass on; the loop sets it.
extern thread_local bool kill_set_id;

inline Session &session_of(fuse_req_t request) { return *static_cast<Session *>(fuse_req_userdata(request)); }
inline Union &union_of(fuse_req_t request) { return session_of(request).fs; }
inline Node &node_of(fuse_req_t request, fuse_ino_t id) {
    return id == FUSE_ROOT_ID ? *union_of(request).root
                              : *reinterpret_cast<Node *>(id);  // NOLINT(performance-no-int-to-ptr): what a node id is
}
inline fuse_ino_t id_of(const Union &fs, const Node &node) {
    return &node == fs.root ? FUSE_ROOT_ID : reinterpret_cast<fuse_ino_t>(&node);
}

fuse_entry_param entry_of(const Node &node, const struct stat &status);
// What a write takes from a file's mode. `always`: the kernel has judged already that the caller may not keep it.
enum class Kill { always, unless_capable };
int drop_set_id(fuse_req_t request, Node &node, Kill kill);

// Room for an answer, this thread's until it asks again; freed at the thread's end.
char *reply_buffer(size_t size);
void free_reply_buffer();
// Has this thread's reply_buffer give that room where it suffices. The end of the request may lie there, which of READ and
// READDIR there is none.
void lend_reply_buffer(std::span<char> buffer);

// Opens for a client: sets what the kernel is to do with the file.
int open_file(Session &session, fuse_req_t request, Node &node, fuse_file_info &info);

void add_names(fuse_lowlevel_ops &ops);  // lookup, forget, create, mkdir, mknod, symlink, link, unlink, rmdir, rename, tmpfile
void add_attributes(fuse_lowlevel_ops &ops);  // getattr, setattr, readlink, statfs
void add_xattrs(fuse_lowlevel_ops &ops);
void add_folders(fuse_lowlevel_ops &ops);
void add_data(fuse_lowlevel_ops &ops);   // open, read, write, fallocate, …
void add_flags(fuse_lowlevel_ops &ops);  // ioctl

}  // namespace unionfs
