#include "unionfs/tree/name_pool.h"

#include <atomic>
#include <cstring>

namespace unionfs {

namespace {

constexpr std::array<size_t, 8> sizes{16, 32, 48, 64, 96, 128, 192, 272};
constexpr size_t head = offsetof(Name, bytes);

}  // namespace

NamePool::NamePool(SharedMemory &memory, std::byte *begin)
    : memory_(memory),
      pools_{ItemPool(begin, stretch, sizes[0]),
             ItemPool(begin + stretch, stretch, sizes[1]),
             ItemPool(begin + 2 * stretch, stretch, sizes[2]),
             ItemPool(begin + 3 * stretch, stretch, sizes[3]),
             ItemPool(begin + 4 * stretch, stretch, sizes[4]),
             ItemPool(begin + 5 * stretch, stretch, sizes[5]),
             ItemPool(begin + 6 * stretch, stretch, sizes[6]),
             ItemPool(begin + 7 * stretch, stretch, sizes[7])} {}

ItemPool &NamePool::pool_for(size_t text_size) {
    size_t i = 0;
    while (sizes[i] < head + text_size) ++i;
    return pools_[i];
}

SharedMemory::Reference NamePool::make(SharedMemory::Reference parent, std::string_view text, SharedMemory::Reference next) {
    auto *name = static_cast<Name *>(pool_for(text.size()).take());
    name->next = next;
    name->parent = parent;
    name->size = static_cast<uint8_t>(text.size());
    std::memcpy(name->bytes, text.data(), text.size());
    std::atomic_signal_fence(std::memory_order_release);  // complete before it can be reached
    return memory_.reference(name);
}

void NamePool::drop(SharedMemory::Reference name) { pool_for(at(name)->size).give(at(name)); }

void NamePool::claim(SharedMemory::Reference name) { pool_for(at(name)->size).claim(at(name)); }

void NamePool::claimed() {
    for (ItemPool &pool : pools_) pool.claimed();
}

}  // namespace unionfs
