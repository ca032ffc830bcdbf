// Which store paths a machine used, against the closure that it was given. Pure; what the guest wrote is taken where it is a
// store path's name.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hostside {

struct PathReport {
    std::vector<std::string> used, unused, unregistered;  // sorted; unregistered: used, and not in the closure
    bool closure_known = false;
};

// `used`: names of store paths, a line each, as a guest wrote them. `closure`: the same by us; empty: not known.
PathReport path_report(std::string_view used, std::string_view closure);

std::string as_text(const PathReport &report, std::string_view name);
std::string as_json(const PathReport &report);

}  // namespace hostside
