// Which machines of a fleet are started when. Machines that meet on a vlan are one group: they run at the same time. Pure.
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
    int64_t memory_mib = 0;       // what it takes of the host, QEMU's own included
    int processors = 0;
    std::optional<double> expected_s;  // of the longest that is known
};

// In the order in which they are to be started: those that nobody knows first, because they may be the longest, then the longest
// first. `known_s`: how long a machine took the last time.
std::vector<Group> groups_of(const std::vector<Node> &nodes,
                             const std::function<std::optional<double>(const std::string &name)> &known_s);

// Whether it may begin beside what runs. `all`: the fleet's share of the host, `taken` of it, `free_mib` of the host's memory
// now. None overtakes another: the next one waits until there is room for it. A group of more processors than there are runs
// alone.
bool has_room(const Group &group, const Room &all, const Room &taken, int64_t free_mib);

}  // namespace hostside
