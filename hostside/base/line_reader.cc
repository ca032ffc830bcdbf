#include "hostside/base/line_reader.h"

namespace hostside {

std::vector<std::string> LineReader::take(std::string_view data) {
    std::vector<std::string> lines;
    while (!data.empty()) {
        const size_t end = data.find('\n');
        const std::string_view part = data.substr(0, end);
        too_long_ = too_long_ || line_.size() + part.size() > limit_bytes_;
        if (!too_long_) line_.append(part);
        data.remove_prefix(end == std::string_view::npos ? data.size() : end + 1);
        if (end == std::string_view::npos) break;
        if (!too_long_) lines.push_back(line_);
        line_.clear();
        too_long_ = false;
    }
    return lines;
}

}  // namespace hostside
