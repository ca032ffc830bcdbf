#include "unionfs/base/fd_cache.h"

namespace unionfs {

FdRef FdCache::get(Slot &slot) {
    const std::lock_guard lock(mutex_);
    if (slot.file && slot.place != used_.begin()) used_.splice(used_.begin(), used_, slot.place);
    return slot.file;
}

FdRef FdCache::put(Slot &slot, base::Fd fd) {
    auto file = std::make_shared<const base::Fd>(std::move(fd));
    FdRef evicted;  // closed after the lock is released
    const std::lock_guard lock(mutex_);
    if (slot.file) return slot.file;
    if (used_.size() >= limit_) {
        Slot *oldest = used_.back();
        evicted = std::move(oldest->file);
        used_.splice(used_.begin(), used_, oldest->place);
        used_.front() = &slot;
    } else {
        used_.push_front(&slot);
    }
    slot.place = used_.begin();
    slot.file = file;
    return file;
}

void FdCache::drop(Slot &slot) {
    FdRef dropped;
    const std::lock_guard lock(mutex_);
    if (!slot.file) return;
    dropped = std::move(slot.file);
    used_.erase(slot.place);
}

}  // namespace unionfs
