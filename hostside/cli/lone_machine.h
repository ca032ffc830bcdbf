// A machine for a single command, like vmTools.runInLinuxVM: no stage 2, disks made for it, and its status left in a file.
// Shared by `runvm in-vm` and `runvm build --alone`.
#pragma once

#include <string>
#include <vector>

#include "mounts/base/error.h"

namespace CLI {
class App;
}

namespace hostside {

struct Arguments;

// --disk
void add_disk_option(CLI::App &command, std::vector<std::string> &words);

// Removes stage 2 and everything that only stage 2 needs.
void make_lone(Arguments &machine, bool writable_store);

struct DiskWord {
    std::string file;
    int mib = 0;  // 0: the file must exist
};

// `made_before`: the disks may be made before the machine starts.
base::Result<std::vector<DiskWord>> disks_of(const std::vector<std::string> &words, bool made_before);

// Creates missing disks that have a size. `qemu`: the program.
base::Result<> add_disks(Arguments &machine, const std::vector<DiskWord> &disks, const std::string &qemu);

// Writes the command's status where vmTools has it: in the xchg directory that outlives the machine. The guest has ended but
// could have left anything there.
base::Result<> leave_status(int status);

}  // namespace hostside
