// An object of the union. The kernel knows it by its node id, which is the Node's address. The Node, its st_ino and its place
// in the kernel's caches outlive its names and its copy-up. Its address and its NodeKept outlive the worker.
//
// The InodeTable's mutex guards names, lookups, children, holders and keys. The Node's own mutex guards writes to `upper`, the
// data descriptor and the backing file (lock_order.h). Anyone may read `upper`: it only ever turns true, after the copy is in
// place.
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

// A directory of a read-only layer. It never moves, so its chain of names always leads to it.
struct LowerDir;
using LowerDirRef = std::shared_ptr<LowerDir>;
struct LowerDir {
    LowerDirRef parent{};  // null: the layer's root
    std::string name{};
    Key key{};         // what the name led to; no inode: unknown
    size_t layer = 0;  // index into Layers::lowers
    bool last = true;  // nothing of a further layer shows through
    FdCache *cache = nullptr;
    FdCache::Slot slot{};
    LowerDir() = default;
    LowerDir(const LowerDir &) = delete;
    LowerDir &operator=(const LowerDir &) = delete;
    ~LowerDir() {
        if (cache != nullptr) cache->drop(slot);
        // Frees unshared parents one after the other. Nested destructors would cost stack for each.
        while (parent && parent.use_count() == 1) {
            std::atomic_thread_fence(std::memory_order_acquire);  // sees the writes of threads that released it
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

// The part of a Node that a successor finds in shared memory. It reads everything else from the layers again.
struct NodeKept {
    ino_t shown_inode = 0;  // st_ino
    Key upper_key{};        // valid if `upper`
    Key lower_key{};
    uint64_t lookups = 0;
    mode_t type = 0;                     // S_IFMT bits
    SharedMemory::Reference names = 0;   // known names in the union; the root has none
    SharedMemory::Reference hidden = 0;  // for a lower object without a name: its path from the layer's root
    int orphan_fd = -1;                  // the descriptor of orphan()
    ino_t orphan_name = 0;               // work directory entry that keeps the object instead (orphans.cc); 0: none
    int nlink_change = 0;                // minus the number of removed names of a lower file
    int backing_id = 0;                  // for passthrough, while opens > 0
    unsigned opens = 0;                  // by passthrough
    unsigned cached_opens = 0;           // through the page cache; an inode has only one kind at a time
    bool lower_backing = false;          // `backing_id` is a lower's file
    bool left = false;                   // only readers of the lower file use it; its names lead to another Node
    bool passthrough_writers = false;    // the kernel may write through a mapping, unseen (passthrough_writers.h)
    bool live = false;                   // written last: the Node is complete
};

// What a directory shows instead of its attributes on disk (preserved_times.h).
struct DirectoryShown {
    timespec modified, on_disk;  // valid while the disk has this mtime and ctime
    timespec changed;            // the ctime to show
    off_t size;
    blkcnt_t blocks;
};

struct alignas(SharedMemory::unit) Node : NodeKept {
    std::atomic<bool> upper = false;
    std::atomic<bool> removed = false;  // no name leads to it
    std::atomic<bool> indexed = false;  // a hard link's copy, kept in the index (hard_links.h)

    std::vector<LowerDirRef> lowers{};  // of a directory, topmost first
    LowerDirRef lower_parent{};         // of a file: its directory in a layer
    std::string lower_name{};

    NodeMutex mutex{};
    FdCache::Slot slot{};  // a directory's upper (O_PATH), or a file's data
    bool slot_writable = false;
    std::atomic<bool> slot_appends = false;                 // opened for appending only: the file is append-only, chattr(1)
    bool restored = false;                                  // a successor has restored it
    bool lost = false;                                      // it couldn't, because a layer answered with an error: ESTALE
    FdRef orphan_ref{};                                     // use orphan(), keep_orphan(), drop_orphan()
    std::shared_ptr<Listing> listing{};                     // while someone reads the directory
    std::atomic<ReaddirplusPolicy::Token> plain_token = 0;  // of the plain listing with its files, until one is looked up
    std::unique_ptr<DirectoryShown> shown_instead{};        // only for preserved_times.h
    uint64_t children = 0;
    unsigned holders = 0;                     // HeldLinks (inode_table.h)
    std::unique_ptr<NameIndex> name_index{};  // exists while there are many names

    Node() = default;
    explicit Node(const NodeKept &kept) : NodeKept(kept) {}

    // Keeps an object that has no name left; null while it has one. Read with and without the mutex.
    [[nodiscard]] FdRef orphan() const { return std::atomic_load(&orphan_ref); }
    // Stores the descriptor's number for a successor, because only the descriptor keeps the object alive.
    void keep_orphan(FdRef fd) {
        orphan_fd = fd->get();
        std::atomic_store(&orphan_ref, std::move(fd));
    }
    void drop_orphan() {
        orphan_fd = -1;
        std::atomic_store(&orphan_ref, FdRef());
    }
    // Readers of `nlink_change` hold no lock.
    [[nodiscard]] int names_changed() const { return __atomic_load_n(&nlink_change, __ATOMIC_RELAXED); }
    void lose_lower_name() { __atomic_fetch_sub(&nlink_change, 1, __ATOMIC_RELAXED); }
    // Readers that send attributes to the kernel hold no lock.
    [[nodiscard]] bool has_passthrough_writers() const { return __atomic_load_n(&passthrough_writers, __ATOMIC_ACQUIRE); }
    void set_passthrough_writers(bool is) { __atomic_store_n(&passthrough_writers, is, __ATOMIC_RELEASE); }
    [[nodiscard]] bool is_dir() const { return S_ISDIR(type); }
    [[nodiscard]] bool is_file() const { return S_ISREG(type); }
};

}  // namespace unionfs
