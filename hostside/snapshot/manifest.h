// What a saved machine is made of, beside it: QEMU says nothing when it is restored into another processor, or with another
// store, and the guest hangs or writes over a disk that it has in its cache. So each trait that must be the same is written down
// and compared, in words that a person can act on.
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
    std::string description;  // of the machine, in JSON, with absolute paths
    bool disk = false;        // it has a root disk
    int node_number = 1;      // of its cards on switches
    std::vector<std::pair<std::string, std::string>> traits{};
};

std::string manifest_text(const Manifest &manifest);
// Error: it is none, or of another version of runvm's.
base::Result<Manifest> parse_manifest(std::string_view text, const std::string &path);

// In the order in which they are worth telling; `host`: as it is planned.
std::vector<std::pair<std::string, std::string>> traits_of(const Machine &machine, const HostFacts &host);

// Error: the first trait that differs, with both values.
base::Result<> check_traits(const Manifest &manifest, const Machine &machine, const HostFacts &host, const std::string &snapshot);

// A description's paths as they are from `directory`.
std::string with_absolute_paths(const std::string &description, const std::string &directory);

}  // namespace hostside
