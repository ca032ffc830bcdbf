#include "stage1/nixdb/path_index.h"

#include <utility>

#include "stage1/nixdb/fingerprint.h"

namespace stage1::nixdb {

// The slot of this fingerprint, or the free slot where it belongs.
size_t PathIndex::place(uint64_t high, uint32_t low) const {
    size_t i = high & (slots_.size() - 1);
    while (slots_[i].number != 0 && (slots_[i].high != high || slots_[i].low != low)) i = (i + 1) & (slots_.size() - 1);
    return i;
}

uint32_t PathIndex::of(std::string_view path) {
    const Fingerprint print = fingerprint(path);
    const auto low = static_cast<uint32_t>(print.low);
    Slot &slot = slots_[place(print.high, low)];
    if (slot.number != 0) return slot.number - 1;
    slot = {print.high, low, ++size_};
    if (uint64_t{size_} * 4 > slots_.size() * 3) grow();
    return size_ - 1;
}

std::optional<uint32_t> PathIndex::find(std::string_view path) const {
    const Fingerprint print = fingerprint(path);
    const Slot &slot = slots_[place(print.high, static_cast<uint32_t>(print.low))];
    if (slot.number == 0) return std::nullopt;
    return slot.number - 1;
}

void PathIndex::grow() {
    std::vector<Slot> old(slots_.size() * 2);
    std::swap(old, slots_);
    for (const Slot &slot : old)
        if (slot.number != 0) slots_[place(slot.high, slot.low)] = slot;
}

}  // namespace stage1::nixdb
