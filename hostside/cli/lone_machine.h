// A machine of a single command, as vmTools.runInLinuxVM makes one: no stage 2, disks that are made for it, and its status left
// for others. What `runvm in-vm` and `runvm build --alone` have in common.
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

// No stage 2, so nothing that only that needs.
void make_lone(Arguments &machine, bool writable_store);

struct DiskWord {
    std::string file;
    int mib = 0;  // 0: it must be there
};

// `made_before`: they may be made before the machine starts.
base::Result<std::vector<DiskWord>> disks_of(const std::vector<std::string> &words, bool made_before);

// An absent one with a size is created. `qemu`: the program.
base::Result<> add_disks(Arguments &machine, const std::vector<DiskWord> &disks, const std::string &qemu);

// Where the command's status is left for others, as vmTools has it: in the xchg that outlives the machine. The guest, which is no
// more, could have put anything there.
base::Result<> leave_status(int status);

}  // namespace hostside
