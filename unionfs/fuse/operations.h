// The FUSE operations, one file per group (op_*.cc), and what they share. A node id is its Node's address; the root's is 1.
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
    int processes = -1;        // /proc, for facts about callers that the kernel's messages leave out
    bool passthrough = false;  // accepted by the kernel at INIT
    bool no_open = false;
};

// Nobody but us changes the layers, and the kernel knows what we change. So nothing that it caches expires.
inline constexpr double forever = 1e9;  // seconds
// Exceptions: a file left to its readers, because it changes through another Node, and a file with unseen writes.
inline double attributes_stay(const Node &node) { return node.left || node.has_passthrough_writers() ? 0 : forever; }

// Whether the kernel wants set-ID bits dropped. libfuse's write, setattr and setxattr don't pass this on, so the loop sets it.
extern thread_local bool kill_set_id;

inline Session &session_of(fuse_req_t request) { return *static_cast<Session *>(fuse_req_userdata(request)); }
inline Union &union_of(fuse_req_t request) { return session_of(request).fs; }
inline Node &node_of(fuse_req_t request, fuse_ino_t id) {
    return id == FUSE_ROOT_ID ? *union_of(request).root
                              : *reinterpret_cast<Node *>(id);  // NOLINT(performance-no-int-to-ptr): a node id is an address
}
inline fuse_ino_t id_of(const Union &fs, const Node &node) {
    return &node == fs.root ? FUSE_ROOT_ID : reinterpret_cast<fuse_ino_t>(&node);
}

fuse_entry_param entry_of(const Node &node, const struct stat &status);
// Clears what a write clears in a file's mode. `always`: the kernel has already decided that the caller may not keep the bits.
enum class Kill { always, unless_capable };
int drop_set_id(fuse_req_t request, Node &node, Kill kill);

// A buffer for an answer, valid in this thread until the next call. free_reply_buffer() frees it at the thread's end.
char *reply_buffer(size_t size);
void free_reply_buffer();
// From now on, this thread's reply_buffer() returns `buffer` if that is large enough. The end of the request is in it too. But
// only READ and READDIR ask for a buffer, and their requests don't reach that far.
void lend_reply_buffer(std::span<char> buffer);

// Opens a file for a client and tells the kernel how to handle it.
int open_file(Session &session, fuse_req_t request, Node &node, fuse_file_info &info);

void add_names(fuse_lowlevel_ops &ops);  // lookup, forget, create, mkdir, mknod, symlink, link, unlink, rmdir, rename, tmpfile
void add_attributes(fuse_lowlevel_ops &ops);  // getattr, setattr, readlink, statfs
void add_xattrs(fuse_lowlevel_ops &ops);
void add_directories(fuse_lowlevel_ops &ops);
void add_data(fuse_lowlevel_ops &ops);   // open, read, write, fallocate, …
void add_flags(fuse_lowlevel_ops &ops);  // ioctl

}  // namespace unionfs
