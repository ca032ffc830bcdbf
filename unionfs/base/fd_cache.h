// Descriptors that can be opened again are kept in slots. At most `limit` of them are open; the least recently used is closed
// first. A Ref stays usable for as long as it is held, even after its slot was emptied.
// Thread-safe; no system call is made under the lock.
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

    // What is in the slot, or null.
    FdRef get(Slot &slot);
    // Fills the slot, unless another was first: then that one is returned and `fd` closed.
    FdRef put(Slot &slot, base::Fd fd);
    void drop(Slot &slot);

  private:
    Mutex<Rank::cache> mutex_;
    std::list<Slot *> used_;  // most recent first
    size_t limit_;
};

}  // namespace unionfs
