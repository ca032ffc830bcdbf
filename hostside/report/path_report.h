// Compares the store paths that a machine used with its closure. Pure; ignores lines from the guest that are not names of store
// paths.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hostside {

struct PathReport {
    std::vector<std::string> used, unused, unregistered;  // sorted; unregistered: used but not in the closure
    bool closure_known = false;
};

// `used`: names of store paths from the guest, one per line. `closure`: the same, from the host; empty: unknown.
PathReport path_report(std::string_view used, std::string_view closure);

std::string as_text(const PathReport &report, std::string_view name);
std::string as_json(const PathReport &report);

}  // namespace hostside
