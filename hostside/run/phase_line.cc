#include "hostside/run/phase_line.h"

#include <algorithm>
#include <format>

namespace hostside {

void PhaseLine::enter(std::string_view phase, double now_s) {
    if (!phases_.empty() && phases_.back().name == phase) return;
    phases_.push_back({std::string(phase), now_s});
    doing_.clear();
    waits_for_.clear();
}

std::string PhaseLine::text(double now_s, size_t columns, bool over) const {
    std::string line;
    for (size_t i = 0; i < phases_.size(); ++i) {
        const bool last = i + 1 == phases_.size();
        const double end_s = last ? now_s : phases_[i + 1].begin_s;
        line += std::format("{}{} {:.1f} s", line.empty() ? "" : ", ", phases_[i].name, end_s - phases_[i].begin_s);
        if (last && !over && !waits_for_.empty())
            line += std::format(" (wait for {} {:.0f}/{:.0f} s)", waits_for_, std::min(now_s - waits_since_s_, wait_limit_s_),
                                wait_limit_s_);
        else if (last && !over)
            line += doing_.empty() ? " ..." : " (" + doing_ + ")";
    }
    if (line.size() > columns) line.resize(columns);
    return line;
}

}  // namespace hostside
