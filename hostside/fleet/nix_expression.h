// A fleet as derivations: a file of Nix's language, in which each group of machines is one, and whose output is the group's
// results. Pure.
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
    const Fleet &fleet;  // whose machines name no disk outside their build's directory
    const std::vector<Group> &groups;
    std::string runvm;                    // the program; stage1 is beside it
    std::string qemu_path;                // a directory of the store with QEMU's programs; empty: each machine names its own
    std::vector<std::string> features;    // of a builder, beside kvm for those that aren't emulated
    std::map<size_t, std::string> again;  // groups that are to run again, though the same has been built: a word that is new
};

std::string nix_expression(const NixWish &wish);

// The derivation's name, and its attribute in `groups`: that of the group's first machine.
std::string derivation_name(const Fleet &fleet, const Group &group);

// /nix/store/HASH-NAME, each once, wherever it stands in `text`.
std::vector<std::string> store_paths_in(std::string_view text);

// Error: what of the machine no other host's build has.
base::Result<> only_of_the_store(const Node &node);

}  // namespace hostside
