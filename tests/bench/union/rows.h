// The work that is measured, a group of rows a function. All of it is done in the working directory, by what it shows.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "tests/bench/union/peers.h"

namespace bench {

// A tree like a store: packages of directories with files of a few sizes; beside it a file of 64 MiB and a git repository.
struct Lower {
    std::filesystem::path path;
    std::vector<std::string> files{};  // the small ones
    void fill(int packages);
};

struct Results {
    bool processor_time = false;      // of client and daemon, instead of the time elapsed: a busy host changes it less
    std::vector<std::string> rows{};  // in the order of the table
    std::map<std::string, std::map<std::string, std::vector<double>>> seconds{};  // row, peer
    std::map<std::string, Daemon> daemons{};                                      // the dearest seen
};

struct Group {
    std::string name, holds;
    std::function<void(Results &, Mounted &, const Lower &)> measure;
};
const std::vector<Group> &groups();

}  // namespace bench
