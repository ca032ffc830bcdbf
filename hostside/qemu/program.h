// QEMU as a program of this host: its path, version and abilities. Also finds the matching qemu-img.
#pragma once

#include <string>
#include <vector>

#include "hostside/base/cache.h"
#include "mounts/base/error.h"

namespace hostside {

// Keeps a path, and looks up a name in PATH. Error: not found, and how to install it.
base::Result<std::string> find_qemu(const std::string &name);

// Finds qemu-img beside this QEMU, otherwise in PATH. Error: neither.
base::Result<std::string> find_qemu_img(const std::string &qemu);

struct Abilities {
    int major = 0;               // of the version number
    std::string version;         // the whole version, as QEMU prints it
    bool sandbox = false;        // supports -sandbox on
    bool run_with_user = false;  // supports -run-with user=; older versions have -runas
};

// Asks QEMU unless the cache knows; `learned` gets new facts for the cache. Error: this is not QEMU, or it is too old.
base::Result<Abilities> abilities_of(const std::string &qemu, std::vector<Remembered> &learned);

}  // namespace hostside
