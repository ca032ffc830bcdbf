// The environment that the 2013 script honours, as overrides of a machine: NIX_DISK_IMAGE, TMPDIR with USE_TMPDIR,
// SHARED_DIR, QEMU_OPTS, QEMU_NET_OPTS, QEMU_KERNEL_PARAMS.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "hostside/machine.h"
#include "mounts/base/error.h"

namespace hostside {

using GetVariable = std::function<std::optional<std::string>(const char *name)>;

struct HostFolders {
    std::string run_directory;  // given by TMPDIR + USE_TMPDIR; empty: a fresh one is made
    std::string shared;         // SHARED_DIR; empty: the same folder as xchg
};

// Error: a quote without an end in QEMU_OPTS.
base::Result<HostFolders> apply_environment(Machine &machine, const GetVariable &get);

}  // namespace hostside
