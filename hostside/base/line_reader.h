// Lines of a stream that comes in parts and from somebody who may never end one.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace hostside {

// Cuts a stream into lines. A line of more than limit_bytes is dropped whole.
class LineReader {
  public:
    explicit LineReader(size_t limit_bytes) : limit_bytes_(limit_bytes) {}
    // The lines that `data` completes.
    std::vector<std::string> take(std::string_view data);

  private:
    size_t limit_bytes_;
    std::string line_;
    bool too_long_ = false;
};

}  // namespace hostside
