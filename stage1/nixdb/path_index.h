// Maps store paths to small numbers, in 16 to 32 bytes per path. Stores 96-bit fingerprints instead of the texts, so that a
// closure of 100,000 paths needs only a few megabytes of the initrd's memory.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace stage1::nixdb {

class PathIndex {
  public:
    PathIndex() : slots_(256) {}

    // The number of this path. New paths get the next number, starting at 0.
    uint32_t of(std::string_view path);
    // The number of a known path; never adds one.
    [[nodiscard]] std::optional<uint32_t> find(std::string_view path) const;
    [[nodiscard]] uint32_t size() const { return size_; }

  private:
    struct Slot {
        uint64_t high = 0;
        uint32_t low = 0;
        uint32_t number = 0;  // plus one; 0: the slot is free
    };
    [[nodiscard]] size_t place(uint64_t high, uint32_t low) const;
    void grow();

    std::vector<Slot> slots_;
    uint32_t size_ = 0;
};

}  // namespace stage1::nixdb
