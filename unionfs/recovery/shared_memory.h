// Memory that outlives the process which writes it: the supervisor makes it before it forks, so that every worker has it
// at the same address, and what a dead worker left there its successor reads in place.
//
// Nothing here can be left half done: what is in it is written whole and then made reachable by one store. Which items
// are in use only the worker knows; a successor learns it from what is reachable. No locks: the table's is the owner's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "mounts/base/error.h"

namespace unionfs {

class SharedMemory {
  public:
    using Reference = uint32_t;  // a place in the memory in units of `unit` bytes; 0: none
    static constexpr size_t unit = 16;
    static constexpr size_t header_bytes = 1U << 20;  // at the start: what exists once
    static constexpr size_t bytes = size_t{1} << 34;  // addresses, not memory: what was never written takes none

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

// Items of one size in a stretch of the shared memory. Not thread-safe.
class ItemPool {
  public:
    // `stretch` bytes from `begin` on are this pool's.
    ItemPool(std::byte *begin, size_t stretch, size_t item_bytes);

    // Not initialised. Throws std::bad_alloc when the stretch is used up.
    void *take();
    // Whole chunks without an item go back to the kernel.
    void give(void *item);

    // A successor learns which items are in use by calling, in this order: each() visits every item's place in the first
    // `end_bytes`, used or not; claim() is told of each item in use, once; claimed() says that this was all.
    template <class Visit>
    void each(size_t end_bytes, const Visit &visit) {
        for (size_t chunk = 0; chunk * chunk_bytes < end_bytes; ++chunk)
            for (size_t i = 0; i < per_chunk_; ++i) visit(item_at(chunk, i));
    }
    void claim(void *item);
    void claimed();

  private:
    static constexpr size_t chunk_bytes = 16384;
    static constexpr size_t kept_chunks = 64;  // empty ones that wait for new items
    static constexpr uint16_t none = 0xFFFF;
    struct Chunk {
        uint16_t used = 0;
        uint16_t touched = 0;       // items from here on were never taken
        uint16_t free_item = none;  // the first of a chain through the free ones
        bool listed = false;        // in with_room_
    };
    std::byte *item_at(size_t chunk, size_t index) { return begin_ + chunk * chunk_bytes + index * item_bytes_; }
    void list(size_t chunk);

    std::byte *begin_;
    size_t stretch_, item_bytes_, per_chunk_;
    std::vector<Chunk> chunks_;
    std::vector<uint32_t> with_room_;
    size_t empty_ = 0;  // chunks without an item that hold memory
    std::vector<void *> claims_;
};

}  // namespace unionfs
