// An object of the union: what the kernel knows by its node id, which is the Node's address. It outlives its names and
// its copy-up, and so do its st_ino and its place in the kernel's caches; its address and its NodeKept outlive the worker.
//
// Guarded by the InodeTable's mutex: names, lookups, children, keys. Guarded by the Node's own: upper (written), the
// data descriptor, backing (lock_order.h). `upper` may be read by anyone: it only ever turns true, after the copy is in place.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "unionfs/base/fd_cache.h"
#include "unionfs/base/lock_order.h"
#include "unionfs/recovery/shared_memory.h"
#include "unionfs/tree/name_index.h"
#include "unionfs/tree/readdirplus_policy.h"
#include "unionfs/upper/layers.h"

namespace unionfs {

// A directory of a read-only layer. It never moves, so that its chain of names leads to it for ever.
struct LowerDir;
using LowerDirRef = std::shared_ptr<LowerDir>;
struct LowerDir {
    LowerDirRef parent{};  // null: the layer's root
    std::string name{};
    Key key{};         // what the name led to; no inode: not known
    size_t layer = 0;  // index into Union::lowers
    bool last = true;  // nothing of a further layer can show through
    FdCache *cache = nullptr;
    FdCache::Slot slot{};
    LowerDir() = default;
    LowerDir(const LowerDir &) = delete;
    LowerDir &operator=(const LowerDir &) = delete;
    ~LowerDir() {
        if (cache != nullptr) cache->drop(slot);
        // Parents that nobody else holds are freed one after the other. Nested destructors would cost stack for each.
        while (parent && parent.use_count() == 1) {
            std::atomic_thread_fence(std::memory_order_acquire);  // what was done by who let it go before
            LowerDirRef above = std::move(parent->parent);
            parent = std::move(above);
        }
    }
};

struct Node;
struct Link {
    Node *parent;
    std::string name;
};

struct Listing;

// What a successor of the worker finds in the shared memory. All else it finds out anew from the layers.
struct NodeKept {
    ino_t shown_inode = 0;  // st_ino
    Key upper_key{};        // valid when upper
    Key lower_key{};
    uint64_t lookups = 0;
    mode_t type = 0;                     // S_IFMT bits
    SharedMemory::Reference names = 0;   // in the union by which it was reached; the root has none
    SharedMemory::Reference hidden = 0;  // a lower object that no name leads to any more: the names from its layer's root
    int orphan_fd = -1;                  // of `orphan`
    ino_t orphan_name = 0;               // the entry in the work directory that keeps it instead (orphans.cc); 0: none
    int nlink_change = 0;                // names of a lower file that were removed, negative
    int backing_id = 0;                  // passthrough, while opens > 0
    unsigned opens = 0;                  // by passthrough
    unsigned cached_opens = 0;           // through the page cache; an inode has only one kind at a time
    bool lower_backing = false;          // `backing_id` is of a lower's file
    bool left = false;                   // to those who read the lower's file: its names lead to another Node
    bool passthrough_writers = false;    // the kernel may write to it by a mapping, unseen (passthrough_writers.h)
    bool live = false;                   // written last: the Node is whole
};

// What a directory shows in place of what the disk says of it (preserved_times.h).
struct DirectoryShown {
    timespec modified, on_disk;  // mtime and ctime on the disk for which that holds
    timespec changed;            // ctime
    off_t size;
    blkcnt_t blocks;
};

struct alignas(SharedMemory::unit) Node : NodeKept {
    std::atomic<bool> upper = false;
    std::atomic<bool> removed = false;  // no name leads to it any more
    std::atomic<bool> indexed = false;  // the copy of a lower hard link, in the index (hard_links.h)

    std::vector<LowerDirRef> lowers{};  // a directory's, the topmost first
    LowerDirRef lower_parent{};         // a file's place in a layer
    std::string lower_name{};

    NodeMutex mutex{};
    FdCache::Slot slot{};  // a directory's upper O_PATH, or a file's data
    bool slot_writable = false;
    std::atomic<bool> slot_appends = false;  // and for nothing else: the file is append-only, chattr(1)
    bool restored = false;                   // by a successor
    FdRef orphan_ref{};                      // by orphan() and its kin alone
    std::shared_ptr<Listing> listing{};      // while somebody reads the directory
    std::atomic<ReaddirplusPolicy::Token> plain_token =
        0;                                            // of the listing that its files were named by, while none was looked up
    std::unique_ptr<DirectoryShown> shown_instead{};  // by preserved_times.h alone
    uint64_t children = 0;
    std::unique_ptr<NameIndex> name_index{};  // while it has many

    Node() = default;
    explicit Node(const NodeKept &kept) : NodeKept(kept) {}

    // Keeps the object when it has no name left; null while it has one. Read with and without the mutex.
    [[nodiscard]] FdRef orphan() const { return std::atomic_load(&orphan_ref); }
    // The descriptor's number is noted, because only the descriptor keeps the object alive.
    void keep_orphan(FdRef fd) {
        orphan_fd = fd->get();
        std::atomic_store(&orphan_ref, std::move(fd));
    }
    void drop_orphan() {
        orphan_fd = -1;
        std::atomic_store(&orphan_ref, FdRef());
    }
    // `nlink_change` is read without a lock by whoever shows the link count.
    [[nodiscard]] int names_changed() const { return __atomic_load_n(&nlink_change, __ATOMIC_RELAXED); }
    void lose_lower_name() { __atomic_fetch_sub(&nlink_change, 1, __ATOMIC_RELAXED); }
    // Read without a lock by whoever tells the kernel of attributes.
    [[nodiscard]] bool has_passthrough_writers() const { return __atomic_load_n(&passthrough_writers, __ATOMIC_ACQUIRE); }
    void set_passthrough_writers(bool is) { __atomic_store_n(&passthrough_writers, is, __ATOMIC_RELEASE); }
    [[nodiscard]] bool is_dir() const { return S_ISDIR(type); }
    [[nodiscard]] bool is_file() const { return S_ISREG(type); }
};

}  // namespace unionfs
