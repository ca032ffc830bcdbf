// Memory that outlives the process that writes it. The supervisor makes it before it forks, so every worker has it at the same
// address. A successor reads in place what a dead worker left.
//
// Nothing here can be left half done: each item is written completely, then made reachable by one store. Only the worker knows
// which items are in use; a successor derives it from what is reachable. This has no locks. The owner's lock (the InodeTable's)
// guards it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "mounts/base/error.h"

namespace unionfs {

class SharedMemory {
  public:
    using Reference = uint32_t;  // a place in the memory, in units of `unit` bytes; 0: none
    static constexpr size_t unit = 16;
    static constexpr size_t header_bytes = 1U << 20;  // at the start, for the Handover
    static constexpr size_t bytes = size_t{1} << 34;  // addresses, not memory: unwritten pages take none

    SharedMemory() = default;
    SharedMemory(const SharedMemory &) = delete;
    SharedMemory &operator=(const SharedMemory &) = delete;
    ~SharedMemory();

    base::Result<> make();
    [[nodiscard]] std::byte *start() const { return start_; }

    template <class T>
    T *at(Reference reference) const {
        return reference == 0 ? nullptr : reinterpret_cast<T *>(start_ + size_t{reference} * unit);
    }
    Reference reference(const void *item) const {
        return static_cast<Reference>(static_cast<size_t>(static_cast<const std::byte *>(item) - start_) / unit);
    }

  private:
    std::byte *start_ = nullptr;
};

// Items of one size in a range of the shared memory. Not thread-safe.
class ItemPool {
  public:
    // The pool owns `stretch` bytes from `begin` on.
    ItemPool(std::byte *begin, size_t stretch, size_t item_bytes);

    // Returns uninitialized memory. Throws std::bad_alloc if the pool's range is used up.
    void *take();
    // Empty chunks go back to the kernel, except for a few.
    void give(void *item);

    // A successor learns which items are in use from these calls, in this order: each() visits the place of every item in the
    // first `end_bytes`, used or not; claim() is called once for each item in use; claimed() ends the list.
    template <class Visit>
    void each(size_t end_bytes, const Visit &visit) {
        for (size_t chunk = 0; chunk * chunk_bytes < end_bytes; ++chunk)
            for (size_t i = 0; i < per_chunk_; ++i) visit(item_at(chunk, i));
    }
    void claim(void *item);
    void claimed();

  private:
    static constexpr size_t chunk_bytes = 16384;
    static constexpr size_t kept_chunks = 64;  // empty ones kept for new items
    static constexpr uint16_t none = 0xFFFF;
    struct Chunk {
        uint16_t used = 0;
        uint16_t touched = 0;       // items from here on were never taken
        uint16_t free_item = none;  // the first in the chain of free items
        bool listed = false;        // in with_room_
    };
    std::byte *item_at(size_t chunk, size_t index) { return begin_ + chunk * chunk_bytes + index * item_bytes_; }
    void list(size_t chunk);

    std::byte *begin_;
    size_t stretch_, item_bytes_, per_chunk_;
    std::vector<Chunk> chunks_;
    std::vector<uint32_t> with_room_;
    size_t empty_ = 0;  // chunks without items that still hold memory
    std::vector<void *> claims_;
};

}  // namespace unionfs
