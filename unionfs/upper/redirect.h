// overlay.redirect tells where a moved directory's lowers are: a name in the same directory, or a path from the layers' roots.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace unionfs {

// Returns nothing for targets that overlayfs rejects too: an empty name, `.`, `..`, or several names without a leading slash.
inline std::optional<std::vector<std::string>> redirect_names(std::string_view target) {
    const bool from_roots = target.starts_with('/');
    std::vector<std::string> names;
    if (from_roots) target.remove_prefix(1);
    for (;;) {
        const size_t slash = target.find('/');
        const std::string_view name = target.substr(0, slash);
        if (name.empty() || name == "." || name == "..") return {};
        names.emplace_back(name);
        if (slash == std::string_view::npos) break;
        target.remove_prefix(slash + 1);
    }
    if (!from_roots && names.size() > 1) return {};
    return names;
}

}  // namespace unionfs
