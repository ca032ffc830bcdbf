// Finds a Node by the key of the object beneath it. This hash table uses open addressing in one array, so a new Node needs no
// allocation here. Not thread-safe: the InodeTable's lock guards it.
#pragma once

#include <cstddef>
#include <vector>

#include "unionfs/tree/node.h"

namespace unionfs {

class KeyTable {
  public:
    // Null if there is none.
    [[nodiscard]] Node *find(const Key &key) const;
    // Maps the key to this Node. Throws std::bad_alloc if the table is full and can't grow; then nothing has changed.
    void put(const Key &key, Node *node);
    // Does nothing if the key belongs to another Node by now.
    void erase(const Key &key, const Node *node);

  private:
    struct Place {
        Key key{};
        Node *node = nullptr;  // null: the place is free
    };
    static constexpr size_t least = 256;

    [[nodiscard]] size_t home_of(const Key &key) const;
    [[nodiscard]] size_t place_of(const Key &key) const;  // where the key is or would be
    // Returns false if there was not enough memory.
    bool resize(size_t places);

    std::vector<Place> places_ = std::vector<Place>(least);  // a power of two, at most three quarters used
    size_t used_ = 0;
};

}  // namespace unionfs
