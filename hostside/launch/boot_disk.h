// The disk of a boot loader that is made of a system: what it is made of, by which machine, and whether the one that is there was
// made of the same. The making itself is hostside/cli/boot_disk.h.
#pragma once

#include <string>

#include "hostside/description/machine.h"
#include "mounts/base/error.h"

namespace hostside {

struct BootDiskRecipe {
    std::string made_of;   // the stamp of what it makes: a system, and all else that is in it
    std::string toplevel;  // as the guest sees it
    Machine booted;        // what will boot from it, its store decided
    Machine maker;         // a machine with the new image as its first disk
    std::string script;    // what the maker runs, with sh; its arguments are the system and the initrd that was put there
};

// `machine` has a toplevel. `image` is where the maker writes. Error: what a boot of that system would be refused for.
base::Result<BootDiskRecipe> boot_disk_recipe(const Machine &machine, const std::string &image);

// The label of its file system.
std::string_view boot_label_of(const Machine &machine);

// What the firmware had as variables when it was made, beside it.
std::string made_variables_of(const std::string &boot_disk);

// One that we made, of whatever: it has a stamp.
bool is_made_boot_disk(const std::string &path);
// The stamp is there, and says the same.
bool is_made_of(const std::string &path, const BootDiskRecipe &recipe);

// Of the script: no room was left on the disk.
inline constexpr int boot_disk_full = 28;

}  // namespace hostside
