// Reads lines from a stream that arrives in parts, from a sender that may never end a line.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace hostside {

// Splits a stream into lines. Drops lines longer than limit_bytes.
class LineReader {
  public:
    explicit LineReader(size_t limit_bytes) : limit_bytes_(limit_bytes) {}
    // Returns the lines that `data` completes.
    std::vector<std::string> take(std::string_view data);

  private:
    size_t limit_bytes_;
    std::string line_;
    bool too_long_ = false;
};

}  // namespace hostside
