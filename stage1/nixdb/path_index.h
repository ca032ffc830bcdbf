// Store path → small number, in 16 to 32 bytes a path: a table of 96-bit fingerprints, not of the texts, so that a
// closure of 100,000 paths stays within a few megabytes of an initrd's memory.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace stage1::nixdb {

class PathIndex {
  public:
    PathIndex() : slots_(256) {}

    // The number of this path: 0 for the first that was asked for, then 1, …
    uint32_t of(std::string_view path);
    // The same, without a new one.
    [[nodiscard]] std::optional<uint32_t> find(std::string_view path) const;
    [[nodiscard]] uint32_t size() const { return size_; }

  private:
    struct Slot {
        uint64_t high = 0;
        uint32_t low = 0;
        uint32_t number = 0;  // plus one; 0: free
    };
    [[nodiscard]] size_t place(uint64_t high, uint32_t low) const;
    void grow();

    std::vector<Slot> slots_;
    uint32_t size_ = 0;
};

}  // namespace stage1::nixdb
