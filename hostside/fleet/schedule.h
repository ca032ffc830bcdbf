// Decides which machines of a fleet start when. Machines that share a vlan, directly or through others, form a group and run at
// the same time. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "hostside/fleet/fleet_file.h"
#include "hostside/fleet/free_room.h"

namespace hostside {

struct Group {
    std::vector<size_t> members;  // of Fleet::nodes
    int64_t memory_mib = 0;       // needed from the host, including QEMU's own
    int processors = 0;
    std::optional<double> expected_s;  // of its longest machine whose time is known
};

// Sorted by start: groups of unknown duration first, because they may be the longest, then the longest first. `known_s`: how
// long a machine ran last time.
std::vector<Group> groups_of(const std::vector<Node> &nodes,
                             const std::function<std::optional<double>(const std::string &name)> &known_s);

// Whether the group may start beside what runs. `all`: the fleet's share of the host; `taken`: the part in use; `free_mib`: the
// host's free memory now. Groups start strictly in order: the next one waits until it has room. A group that needs more
// processors than the share has runs alone.
bool has_room(const Group &group, const Room &all, const Room &taken, int64_t free_mib);

}  // namespace hostside
