#include "hostside/nix/order.h"

#include <format>
#include <set>

namespace hostside::nixdb {

// Depth first, with its own stack, because chains may be long.
base::Result<std::vector<mounts::PathInfo>> topological_order(Paths paths) {
    struct Frame {
        mounts::PathInfo *info;
        size_t next = 0;
    };
    std::vector<mounts::PathInfo> result;
    std::vector<Frame> stack;
    std::set<std::string_view> open, done;
    for (auto &[path, info] : paths) {
        if (!done.contains(path)) stack.push_back({&info});
        while (!stack.empty()) {
            auto &[current, next] = stack.back();
            const auto &name = paths.find(current->path)->first;
            open.insert(name);
            if (next == current->references.size()) {
                open.erase(name);
                done.insert(name);
                result.push_back(*current);
                stack.pop_back();
                continue;
            }
            const std::string &reference = current->references[next++];
            if (reference == name || done.contains(reference)) continue;
            if (open.contains(reference))
                return base::fail(0, "reginfo", reference, std::format("a cycle of references: '{}' refers back to it", name));
            const auto below = paths.find(reference);
            if (below == paths.end())
                return base::fail(0, "reginfo", reference, std::format("'{}' refers to it, but it is not in the graph", name));
            stack.push_back({&below->second});
        }
    }
    return result;
}

}  // namespace hostside::nixdb
