// The names of Nodes, in shared memory. A Node's names form a chain, in which a single store replaces or removes a name. Not
// thread-safe: the InodeTable's lock guards it.
#pragma once

#include <array>
#include <string_view>

#include "unionfs/recovery/shared_memory.h"

namespace unionfs {

struct Name {
    SharedMemory::Reference next;
    SharedMemory::Reference parent;  // the directory's Node; in a lower object's path, the layer
    uint8_t size;                    // at most NAME_MAX
    char bytes[255];                 // only `size` of them exist

    [[nodiscard]] std::string_view text() const { return {bytes, size}; }
};

class NamePool {
  public:
    static constexpr size_t stretch = size_t{1} << 30;  // for each size

    NamePool(SharedMemory &memory, std::byte *begin);

    SharedMemory::Reference make(SharedMemory::Reference parent, std::string_view text, SharedMemory::Reference next);
    void drop(SharedMemory::Reference name);
    Name *at(SharedMemory::Reference name) const { return memory_.at<Name>(name); }

    // See ItemPool.
    void claim(SharedMemory::Reference name);
    void claimed();

  private:
    ItemPool &pool_for(size_t text_size);

    SharedMemory &memory_;
    std::array<ItemPool, 8> pools_;
};

}  // namespace unionfs
