// Reads a fleet's file: its machines, what each one runs, and which vlans they share. Has no side effects.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "mounts/base/error.h"

namespace hostside {

struct Node {
    std::string name;
    std::string description;           // the whole description, as JSON for --config
    std::vector<std::string> command;  // runs in the guest; empty: the machine runs until it ends by itself
    std::optional<std::string> after;  // the command waits for this (runvm exec --after)
    std::string user;
    std::string from;      // the snapshot that it is restored from, an absolute path; empty: it is booted
    std::string fork;      // a name in letters and digits; the fleet makes one snapshot for all machines that have the same
    std::string saves;     // it is booted only to make this snapshot, an absolute path
    bool service = false;  // serves the others on its vlans and is stopped after them
    // From the description.
    int memory_mib = 0, cores = 0;
    std::vector<int> vlans;
};

struct Fleet {
    std::string name;
    std::vector<Node> nodes;
};

// `directory_of`: the directory for the disk of a machine that names none; empty: the directory where it is started. Error: the
// file, the JSON pointer of the faulty value, and what is expected there.
base::Result<Fleet> read_fleet(const std::string &path,
                               const std::function<std::string(const std::string &machine)> &directory_of);

// The name of a fleet that has none: its file's name without directory and extension.
std::string fleet_name(const std::string &path);

}  // namespace hostside
