// Reads directories. There are no open directories on our side: a listing belongs to the Node and is dropped when it was read
// to the end. The kernel caches what it gets until the directory changes.
#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "unionfs/fuse/guarded.h"
#include "unionfs/fuse/operations.h"
#include "unionfs/tree/listing.h"

namespace unionfs {

namespace {

std::shared_ptr<Listing> listing_of(Union &fs, Node &directory, off_t offset, int &error) {
    {
        const std::lock_guard lock(directory.mutex);
        if (directory.listing && offset != 0) return directory.listing;
    }
    if (fs.trace) fs.trace->used(fs, directory);
    auto listing = std::make_shared<Listing>();
    if (directory.removed) return listing;  // removed while in use: nothing is left in it
    error = listing->load(fs, directory);
    const std::lock_guard lock(directory.mutex);
    directory.listing = listing;
    return listing;
}

void opendir(fuse_req_t request, fuse_ino_t, fuse_file_info *) {
    fuse_reply_err(request, ENOSYS);  // the kernel never asks again: it opens directories by itself and caches them
}

// A node id of 0 means that there are no attributes (fuse_direntplus_link in linux/fs/fuse/readdir.c).
fuse_entry_param plain_entry(const ListingEntry &listed) {
    fuse_entry_param entry{};
    entry.attr.st_ino = listed.number != 0 ? listed.number : listed.cookie;  // readdir(3) takes 0 for a deleted entry
    entry.attr.st_mode = DTTOIF(listed.type);
    return entry;
}

int full_entry(Union &fs, Node &directory, const ListingEntry &listed, const std::string &name, fuse_entry_param &entry) {
    Node *node = nullptr;
    struct stat status{};
    // The upper may have hidden or replaced the file since the listing was loaded.
    const size_t first_layer = directory.upper || listed.type == DT_DIR ? 0 : listed.layer;
    const int error = fs.lookup(directory, name, node, status, first_layer);
    if (error != 0) return error;
    entry = entry_of(*node, status);
    // A file in the upper may have replaced the one that was listed.
    const bool same = listed.number == status.st_ino && DTTOIF(listed.type) == (status.st_mode & S_IFMT);
    if (listed.number != 0 && !same && !node->upper) fs.readdirplus.stop();
    return 0;
}

void readdirplus(fuse_req_t request, fuse_ino_t id, size_t size, off_t offset, fuse_file_info *) {
    Union &fs = union_of(request);
    Node &directory = node_of(request, id);
    int error = 0;
    const std::shared_ptr<Listing> listing = listing_of(fs, directory, offset, error);
    if (error != 0) {
        fuse_reply_err(request, error);
        return;
    }
    if (offset == 0)
        directory.plain_token = fs.readdirplus.begin(fuse_req_ctx(request)->pid, listing->files, listing->has_subdirectories);
    // If a name comes with attributes, the kernel doesn't look it up again, and the trace would miss its use.
    const bool plain = fs.readdirplus.goes_on(directory.plain_token) || (fs.trace && &directory == fs.root);
    char *const buffer = reply_buffer(size);
    size_t used = 0;
    // `.` and `..` carry no node, so the kernel keeps what it has of them.
    for (off_t dot = offset; dot < 2; ++dot) {
        fuse_entry_param entry{};
        entry.attr.st_ino = directory.shown_inode;
        entry.attr.st_mode = S_IFDIR;
        used += fuse_add_direntry_plus(request, buffer + used, size - used, dot == 0 ? "." : "..", &entry, dot + 1);
    }
    auto at = std::ranges::upper_bound(listing->entries, static_cast<uint64_t>(offset), {}, &ListingEntry::cookie);
    std::string name;
    for (; at != listing->entries.end(); ++at) {
        name = listing->name_of(*at);
        const size_t needed = fuse_add_direntry_plus(request, nullptr, 0, name.c_str(), nullptr, 0);
        if (used + needed > size) break;
        fuse_entry_param entry{};
        if (plain && at->number != 0)
            entry = plain_entry(*at);
        else if (const int failed = full_entry(fs, directory, *at, name, entry); failed == ENOENT)
            continue;  // removed in between
        else if (failed != 0)
            entry = plain_entry(*at);  // a lookup of it reports the error
        used += fuse_add_direntry_plus(request, buffer + used, size - used, name.c_str(), &entry, static_cast<off_t>(at->cookie));
    }
    if (used == 0) {
        const std::lock_guard lock(directory.mutex);
        directory.listing.reset();
    }
    fuse_reply_buf(request, buffer, used);
}

void fsyncdir(fuse_req_t request, fuse_ino_t id, int, fuse_file_info *) {
    Union &fs = union_of(request);
    Node &directory = node_of(request, id);
    FdRef dir;
    if (!directory.upper || fs.upper_dir(directory, dir) != 0) {
        fuse_reply_err(request, 0);  // none of it is in the upper
        return;
    }
    const base::Fd fd(::openat(dir->get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    fuse_reply_err(request, fd && ::fsync(fd.get()) == 0 ? 0 : errno);
}

}  // namespace

void add_directories(fuse_lowlevel_ops &ops) {
    guard<opendir>(ops.opendir);
    guard<readdirplus>(ops.readdirplus);
    guard<fsyncdir>(ops.fsyncdir);
}

}  // namespace unionfs
