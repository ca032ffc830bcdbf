// Describes what a saved machine depends on, in a file beside it. QEMU does not complain if it restores into another processor
// or with another store; the guest then hangs or overwrites a disk that it has cached. So each trait that must stay the same is
// recorded and compared, in words that a user can act on.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hostside/description/machine.h"
#include "hostside/qemu/command.h"
#include "mounts/base/error.h"

namespace hostside {

struct Manifest {
    std::string point;        // ready, before-stage-2
    std::string description;  // of the machine, as JSON with absolute paths
    bool disk = false;        // the machine has a root disk
    int node_number = 1;      // for its network cards on switches
    std::vector<std::pair<std::string, std::string>> traits{};
    std::string after{};  // what the machine waited for before it was saved; empty: the default
};

std::string manifest_text(const Manifest &manifest);
// Error: not a manifest, or one from another version of runvm.
base::Result<Manifest> parse_manifest(std::string_view text, const std::string &path);

// The most important first; `host`: as planned.
std::vector<std::pair<std::string, std::string>> traits_of(const Machine &machine, const HostFacts &host);

// What differs first between a snapshot and the one that would be made in its place, for a person. Empty: nothing that matters.
std::string difference(const Manifest &made, const Manifest &wanted);

// Of the machine's pathsInNixDB, those that came since the snapshot was made, if its forks can still learn of them: they mount
// their 9p store after the moment of saving.
std::vector<std::string> new_paths(const Manifest &manifest, const Machine &machine);

// A description without what each fork has for itself: name, node number, timeout, and the place of its disk.
std::string shared_description(const std::string &description);

// Error: the first trait that differs, with both values.
base::Result<> check_traits(const Manifest &manifest, const Machine &machine, const HostFacts &host, const std::string &snapshot);

// Makes a description's paths absolute, relative to `directory`.
std::string with_absolute_paths(const std::string &description, const std::string &directory);

}  // namespace hostside
