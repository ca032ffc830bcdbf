// A boot loader's disk made from a system: its inputs, the machine that makes it, and whether an existing disk was made from
// the same inputs. hostside/cli/boot_disk.h does the work.
#pragma once

#include <string>

#include "hostside/description/machine.h"
#include "mounts/base/error.h"

namespace hostside {

struct BootDiskRecipe {
    std::string made_of;   // the stamp of the result: the system and all other inputs
    std::string toplevel;  // as the guest sees it
    Machine booted;        // the machine that will boot from it, with its store decided
    Machine maker;         // a machine with the new image as its first disk
    std::string script;    // what the maker runs with sh; arguments: the system, and the path of the copied initrd
};

// `machine` has a toplevel. `image` is the maker's output. Error: the reasons for which a boot of that system would be refused.
base::Result<BootDiskRecipe> boot_disk_recipe(const Machine &machine, const std::string &image);

// The label of the disk's file system.
std::string_view boot_label_of(const Machine &machine);

// The file beside the disk with the firmware's variables from when it was made.
std::string made_variables_of(const std::string &boot_disk);

// True if runvm made the disk, from any inputs: it has a stamp.
bool is_made_boot_disk(const std::string &path);
// True if the stamp exists and matches.
bool is_made_of(const std::string &path, const BootDiskRecipe &recipe);

// Exit status of the script: the disk is full.
inline constexpr int boot_disk_full = 28;

}  // namespace hostside
