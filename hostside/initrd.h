// The initrd: stage1 as /init, and the modules that this kind of machine needs, ready to load.
#pragma once

#include <string>
#include <vector>

#include "mounts/base/error.h"

namespace hostside {

struct InitrdSpec {
    std::string stage1;               // the static binary on the host
    std::string modules;              // …/lib/modules/RELEASE; empty: no modules
    std::vector<std::string> wanted;  // names or aliases beyond the default ones
    std::vector<std::string> always;  // loaded whatever the machine has (/etc/stage1/modules)
};

// The default modules: what disk, shares, status port, union and file systems need. Those that the kernel has built in
// cost nothing; those that it does not know at all are left out.
const std::vector<std::string> &default_modules();

// The archive's bytes: the same for the same input. Modules are decompressed, for xz in a guest costs more than the
// larger initrd, and the signature that is appended to each is cut off unless this kernel enforces signatures.
base::Result<std::string> make_initrd(const InitrdSpec &spec);

// The appended signature of a module (Linux, kernel/module/signing.c) taken off; the same text when there is none.
std::string_view without_signature(std::string_view module);

}  // namespace hostside
