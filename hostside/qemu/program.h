// QEMU as a program of this host: where it is, its version, what it can do; and qemu-img, which belongs to it.
#pragma once

#include <string>
#include <vector>

#include "hostside/base/cache.h"
#include "mounts/base/error.h"

namespace hostside {

// A path as it is, a name looked up in PATH. Error: it is not there, and how to get it.
base::Result<std::string> find_qemu(const std::string &name);

// qemu-img from beside this QEMU, else from PATH. Error: neither.
base::Result<std::string> find_qemu_img(const std::string &qemu);

struct Abilities {
    int major = 0;               // of the version
    std::string version;         // all of it, as QEMU says it
    bool sandbox = false;        // takes -sandbox on
    bool run_with_user = false;  // takes -run-with user=; an older one takes -runas
};

// Asked, unless the cache knows it; what was learned is for the cache. Error: it is no QEMU, or an older one than we need.
base::Result<Abilities> abilities_of(const std::string &qemu, std::vector<Remembered> &learned);

}  // namespace hostside
