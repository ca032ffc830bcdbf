// The locks of a union and their order. A thread that holds one takes only such as stand further down here, so that no two
// threads wait for each other.
//
//   node       Node::mutex: one object's copy-up, its data descriptor, its passthrough. Held over system calls, so whoever wants
//              the same object waits, and nobody else. A thread may hold several: a file's, then those of directories, each
//              before the ones above it (copy-up goes up the tree). Of two files (rename) it takes the second by std::lock or
//              try_lock, and never waits for it with the first in hand.
//   table      InodeTable's: which Nodes there are, their names, keys and lookups. No system call is made under it, but to
//              give memory back: every request takes it.
//   hard_links HardLinks' maps. A new Node looks into them, hence under the table's. Writing the note of removed names is done
//              under it, so that two notes don't mix.
//   times      What a directory shows in place of what the disk says (preserved_times.h). Held for a comparison and a copy.
//   readdir    ReaddirplusPolicy's callers. Held for a look.
//   cache      FdCache's list. A Node that is freed empties its slot under the table's lock. Descriptors are closed after it.
//
// Requests of the kernel come with its own locks held: of the directories whose names change, and of an inode that is read
// or changed. They come before all of these. A notice to the kernel waits for none of them (attributes only, no pages).
//
// With -DCHECK_LOCK_ORDER a thread that breaks the order ends the process with a word. `make test-union-sanitized` is built so.
#pragma once

#include <mutex>

namespace unionfs {

enum class Rank { node, table, hard_links, times, readdir, cache };

// Counts what this thread holds. Ends the process where the order is broken.
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
