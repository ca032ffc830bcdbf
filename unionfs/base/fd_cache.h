// A cache of descriptors that can be reopened at any time. At most `limit` are open; the least recently used is closed first.
// An FdRef stays usable while someone holds it, even after its slot was emptied. Thread-safe. Makes no system call under the
// lock.
#pragma once

#include <cstddef>
#include <list>
#include <memory>

#include "mounts/base/fd.h"
#include "unionfs/base/lock_order.h"

namespace unionfs {

using FdRef = std::shared_ptr<const base::Fd>;

class FdCache {
  public:
    struct Slot {
        FdRef file{};
        std::list<Slot *>::iterator place{};
    };

    explicit FdCache(size_t limit) : limit_(limit) {}

    // The slot's descriptor, or null.
    FdRef get(Slot &slot);
    // Fills the slot. If another thread filled it first, closes `fd` and returns the other thread's descriptor.
    FdRef put(Slot &slot, base::Fd fd);
    void drop(Slot &slot);

  private:
    Mutex<Rank::cache> mutex_;
    std::list<Slot *> used_;  // most recently used first
    size_t limit_;
};

}  // namespace unionfs
