// Manages DIR/groups, for groups that other processes run. Each group has a directory, named by its number, with its own
// results.json; DIR/NAME is a link into it. Also writes a group as a fleet file.
#pragma once

#include <map>
#include <string>

#include "hostside/fleet/fleet_file.h"
#include "hostside/fleet/results.h"
#include "hostside/fleet/schedule.h"
#include "mounts/base/error.h"

namespace hostside {

std::string groups_directory(const std::string &results);
std::string group_directory(const std::string &results, size_t group);

// Makes DIR/NAME a link to the machine's results in its group's directory.
base::Result<> link_machine(const std::string &results, const std::string &machine, size_t group);

// Adds to `result` the results of the groups. `tasks` has the engine's states of the groups that are not over, such as PENDING.
// A group that is over without a result has failed.
void gather(const std::string &results, const std::map<size_t, std::string> &tasks, FleetResult &result);

// One group as a fleet file. Pure.
std::string group_json(const Fleet &fleet, const Group &group);

}  // namespace hostside
