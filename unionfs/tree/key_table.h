// Finds a Node by the key of what lies beneath it: a hash table with open addressing, in one array, so that a new Node takes no
// memory of its own here. Not thread-safe: the InodeTable's lock guards it.
#pragma once

#include <cstddef>
#include <vector>

#include "unionfs/tree/node.h"

namespace unionfs {

class KeyTable {
  public:
    // Null when there is none.
    [[nodiscard]] Node *find(const Key &key) const;
    // From now on the key is this Node's. Throws std::bad_alloc if the table is full and can't grow; then nothing was changed.
    void put(const Key &key, Node *node);
    // Unless the key is another Node's by now.
    void erase(const Key &key, const Node *node);

  private:
    struct Place {
        Key key{};
        Node *node = nullptr;  // null: the place is free
    };
    static constexpr size_t least = 256;

    [[nodiscard]] size_t home_of(const Key &key) const;
    [[nodiscard]] size_t place_of(const Key &key) const;  // where it is, or would be
    // Whether there was memory for that.
    bool resize(size_t places);

    std::vector<Place> places_ = std::vector<Place>(least);  // a power of two, at most three quarters in use
    size_t used_ = 0;
};

}  // namespace unionfs
