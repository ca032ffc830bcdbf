#include "hostside/fleet/schedule.h"

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>

namespace hostside {

namespace {

// QEMU itself, its translated code and its buffers, in addition to the guest's memory. Measured: the resident memory of an
// emulated 1 GiB machine before its guest used its memory.
constexpr int64_t qemu_own_mib = 128;

// For each machine, the first machine that it is connected to through vlans, directly or not.
std::vector<size_t> joined(const std::vector<Node> &nodes) {
    std::vector<size_t> first(nodes.size());
    std::iota(first.begin(), first.end(), size_t{0});
    const auto root = [&](size_t of) {
        while (first[of] != of) of = first[of] = first[first[of]];
        return of;
    };
    std::map<int, size_t> on_vlan;
    for (size_t i = 0; i < nodes.size(); ++i)
        for (const int vlan : nodes[i].vlans) {
            const auto [at, is_new] = on_vlan.try_emplace(vlan, i);
            const size_t a = root(i), b = root(at->second);
            first[std::max(a, b)] = std::min(a, b);
        }
    for (size_t i = 0; i < nodes.size(); ++i) first[i] = root(i);
    return first;
}

}  // namespace

std::vector<Group> groups_of(const std::vector<Node> &nodes,
                             const std::function<std::optional<double>(const std::string &name)> &known_s) {
    const auto first = joined(nodes);
    std::map<size_t, Group> by_first;
    for (size_t i = 0; i < nodes.size(); ++i) {
        Group &group = by_first[first[i]];
        group.members.push_back(i);
        group.memory_mib += nodes[i].memory_mib + qemu_own_mib;
        group.processors += nodes[i].cores;
        if (const auto seconds = known_s(nodes[i].name)) group.expected_s = std::max(group.expected_s.value_or(0), *seconds);
    }
    std::vector<Group> groups;
    for (auto &[at, group] : by_first) groups.push_back(std::move(group));
    std::ranges::stable_sort(groups, std::ranges::greater{}, [](const Group &group) {
        return group.expected_s.value_or(std::numeric_limits<double>::infinity());
    });
    return groups;
}

bool has_room(const Group &group, const Room &all, const Room &taken, int64_t free_mib) {
    const int processors = std::min(group.processors, all.processors);
    return taken.processors + processors <= all.processors && taken.memory_mib + group.memory_mib <= all.memory_mib &&
           group.memory_mib <= free_mib;
}

}  // namespace hostside
