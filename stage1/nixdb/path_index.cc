#include "stage1/nixdb/path_index.h"

#include <utility>

namespace stage1::nixdb {

namespace {

// FNV-1a, 64 bits; two of them with different beginnings and a last mixing make the fingerprint. The hash part of a
// store path is already 160 well mixed bits.
uint64_t fingerprint(std::string_view text, uint64_t state) {
    for (const unsigned char c : text) state = (state ^ c) * 0x100000001b3ULL;
    state ^= state >> 33;
    state *= 0xff51afd7ed558ccdULL;
    return state ^ state >> 33;
}

}  // namespace

uint32_t PathIndex::of(std::string_view path) {
    const uint64_t high = fingerprint(path, 0xcbf29ce484222325ULL);
    const uint64_t low = fingerprint(path, 0x9e3779b97f4a7c15ULL);
    for (size_t i = high & (slots_.size() - 1);; i = (i + 1) & (slots_.size() - 1)) {
        Slot &slot = slots_[i];
        if (slot.number != 0 && slot.high == high && slot.low == low) return slot.number - 1;
        if (slot.number != 0) continue;
        slot = {high, low, ++size_};
        if (uint64_t{size_} * 4 > slots_.size() * 3) grow();
        return size_ - 1;
    }
}

void PathIndex::grow() {
    std::vector<Slot> old(slots_.size() * 2);
    std::swap(old, slots_);
    for (const Slot &slot : old) {
        if (slot.number == 0) continue;
        size_t i = slot.high & (slots_.size() - 1);
        while (slots_[i].number != 0) i = (i + 1) & (slots_.size() - 1);
        slots_[i] = slot;
    }
}

}  // namespace stage1::nixdb
