// A fleet as its file says it: machines, what each runs, and which of them meet on a vlan. Reads; has no effect.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "mounts/base/error.h"

namespace hostside {

struct Node {
    std::string name;
    std::string description;           // whole, as JSON for --config
    std::vector<std::string> command;  // for the guest; empty: the machine runs until it ends by itself
    std::optional<std::string> after;  // what the command waits for (runvm exec --after)
    std::string user;
    bool service = false;  // runs for the others on its vlans, and is ended after them
    // Of its description.
    int memory_mib = 0, cores = 0;
    std::vector<int> vlans;
};

struct Fleet {
    std::string name;
    std::vector<Node> nodes;
};

// `directory_of`: where a machine that names no disk has its own; empty: where it is started. Error: the file, the JSON pointer
// of what is wrong in it, and what is expected there.
base::Result<Fleet> read_fleet(const std::string &path,
                               const std::function<std::string(const std::string &machine)> &directory_of);

// The name of a fleet without one: of its file, without directory and ending.
std::string fleet_name(const std::string &path);

}  // namespace hostside
