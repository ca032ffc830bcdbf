// Writes a fleet as a Nix expression: each group of machines is one derivation, and its output is the group's results. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "hostside/fleet/fleet_file.h"
#include "hostside/fleet/schedule.h"
#include "mounts/base/error.h"

namespace hostside {

struct NixWish {
    const Fleet &fleet;  // its machines name no disk outside their build's directory
    const std::vector<Group> &groups;
    std::string runvm;                    // the program, with stage1 beside it
    std::string qemu_path;                // store directory with QEMU's programs; empty: each machine names its own
    std::vector<std::string> features;    // required of a builder, in addition to kvm for machines that are not emulated
    std::map<size_t, std::string> again;  // groups to run again despite an identical earlier build, each with a new word
};

std::string nix_expression(const NixWish &wish);

// The name of the derivation and of its attribute in `groups`: the name of the group's first machine.
std::string derivation_name(const Fleet &fleet, const Group &group);

// Every /nix/store/HASH-NAME in `text`, without duplicates.
std::vector<std::string> store_paths_in(std::string_view text);

// Error: the machine uses something that a build on another host does not have.
base::Result<> only_of_the_store(const Node &node);

}  // namespace hostside
