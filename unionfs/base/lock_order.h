// The locks of a union and their order. A thread that holds a lock may take only locks further down this list, so two threads
// never wait for each other.
//
//   node       Node::mutex: one object's copy-up, data descriptor and passthrough. Held across system calls, which blocks
//              only threads that want the same object. A thread may hold several: a file's, then those of directories, each
//              before its parent's, because copy-up goes up the tree. For two files (rename), it takes the second by
//              std::lock or try_lock, so it never waits for the second while it holds the first.
//   table      InodeTable's mutex: the set of Nodes, their names, keys and lookup counts. Every request takes it, so the only
//              system call made under it is the one that returns memory.
//   hard_links HardLinks' maps. Below `table` because a new Node is looked up in them under the table's lock. The note of
//              removed names is also written under it, so that two notes don't mix.
//   times      The attributes that a directory shows instead of those on disk (preserved_times.h). Held briefly.
//   readdir    ReaddirplusPolicy's callers. Held briefly.
//   cache      FdCache's list. A Node that is freed empties its slot under the table's lock. Descriptors are closed after
//              this lock is released.
//
// The kernel sends requests while it holds locks of its own: on the directories whose names change, and on an inode that is
// read or changed. Those locks come before all of these. A notice to the kernel waits for none of them, because it concerns
// attributes only, not pages.
//
// With -DCHECK_LOCK_ORDER, a thread that breaks the order prints a message and aborts. `make test-union-sanitized` is built so.
#pragma once

#include <mutex>

namespace unionfs {

enum class Rank { node, table, hard_links, times, readdir, cache };

// Checks the order against the locks that this thread holds. Aborts the process if the order is broken.
void check_lock_order(Rank rank, bool waits);
void note_locked(Rank rank);
void note_unlocked(Rank rank);

template <Rank rank>
class RankedMutex {
  public:
    void lock() {
        check_lock_order(rank, true);
        mutex_.lock();
        note_locked(rank);
    }
    bool try_lock() {
        check_lock_order(rank, false);
        if (!mutex_.try_lock()) return false;
        note_locked(rank);
        return true;
    }
    void unlock() {
        note_unlocked(rank);
        mutex_.unlock();
    }

  private:
    std::mutex mutex_;
};

#ifdef CHECK_LOCK_ORDER
template <Rank rank>
using Mutex = RankedMutex<rank>;
#else
template <Rank>
using Mutex = std::mutex;
#endif

using NodeMutex = Mutex<Rank::node>;

}  // namespace unionfs
