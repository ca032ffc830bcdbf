#include "unionfs/tree/key_table.h"

#include <bit>
#include <new>
#include <utility>

namespace unionfs {

size_t KeyTable::home_of(const Key &key) const {
    const uint64_t hash =
        (key.inode ^ (key.device << 40)) * 0x9E3779B97F4A7C15ULL;  // 2^64 / golden ratio; this mixes the high bits
    return hash >> (64 - std::countr_zero(places_.size()));
}

size_t KeyTable::place_of(const Key &key) const {
    size_t at = home_of(key);
    while (places_[at].node != nullptr && places_[at].key != key) at = (at + 1) & (places_.size() - 1);
    return at;
}

Node *KeyTable::find(const Key &key) const { return places_[place_of(key)].node; }

void KeyTable::put(const Key &key, Node *node) {
    if (used_ + 1 > places_.size() / 4 * 3 && !resize(places_.size() * 2) && used_ + 2 > places_.size()) throw std::bad_alloc();
    Place &place = places_[place_of(key)];
    used_ += place.node == nullptr ? 1 : 0;
    place = {key, node};
}

void KeyTable::erase(const Key &key, const Node *node) {
    const size_t mask = places_.size() - 1;
    size_t hole = place_of(key);
    if (node == nullptr || places_[hole].node != node) return;
    // The entry after the hole moves into it, unless the hole lies before the entry's home slot.
    for (size_t at = (hole + 1) & mask; places_[at].node != nullptr; at = (at + 1) & mask) {
        if (((at - home_of(places_[at].key)) & mask) < ((at - hole) & mask)) continue;
        places_[hole] = places_[at];
        hole = at;
    }
    places_[hole] = {};
    --used_;
    if (places_.size() > least && used_ < places_.size() / 8) (void)resize(places_.size() / 2);  // else it stays larger
}

bool KeyTable::resize(size_t places) {
    std::vector<Place> made;
    try {
        made.resize(places);
    } catch (const std::bad_alloc &) {
        return false;
    }
    const std::vector<Place> old = std::exchange(places_, std::move(made));
    for (const Place &place : old)
        if (place.node != nullptr) places_[place_of(place.key)] = place;
    return true;
}

}  // namespace unionfs
