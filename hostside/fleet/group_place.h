// DIR/groups: where the groups of a fleet have their results that others than this process run, each in a directory of its number
// with a fleet's results.json; DIR/NAME leads there. And a group as a file.
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

// DIR/NAME leads to where the machine's group has its results.
base::Result<> link_machine(const std::string &results, const std::string &machine, size_t group);

// `result` with what the groups' results and `tasks` say: the states that an engine has of those that are not over, PENDING among
// them. A group that is over without a result has failed.
void gather(const std::string &results, const std::map<size_t, std::string> &tasks, FleetResult &result);

// One group as a fleet's file. Pure.
std::string group_json(const Fleet &fleet, const Group &group);

}  // namespace hostside
