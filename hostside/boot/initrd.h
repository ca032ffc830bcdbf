// The initrd: stage1 as /init and the kernel modules that this machine's devices and file systems need. Byte for byte
// the same for the same stage1, modules and names. Used by `runvm initrd` and, through the cache, by `runvm run`.
#pragma once

#include <string>
#include <vector>

#include "mounts/base/error.h"

namespace hostside {

struct InitrdSpec {
    std::string stage1;   // path of the stage1 program
    std::string modules;  // a directory with modules.dep, or one that has lib/modules/RELEASE; empty: a kernel without modules
    std::string release;  // of the kernel; empty: the only one that `modules` has
    std::vector<std::string> names;  // modules to take, with what they depend on
    std::vector<std::string> load;   // names that the guest loads always (mounts/protocol.h, modules_file)
    bool keep_signatures = false;    // of modules; a kernel that enforces them needs them
    bool keep_tracing = false;       // of modules: what only tracing them needs (module_image.h)
    std::string shell{};             // a static busybox (debug_shell.h); empty: none
    bool operator==(const InitrdSpec &) const = default;
};

// Modules for the status port, shares and file systems of every machine, and for its disks. `disk_interface`: virtio,
// scsi or ide.
std::vector<std::string> modules_for(std::string_view disk_interface);

// Error: no stage1; no modules for this release; a module that is not there and not built in.
base::Result<std::string> build_initrd(const InitrdSpec &spec);

// The directory of RELEASE's modules.dep. Error with the releases that there are.
base::Result<std::string> modules_directory(const std::string &modules, const std::string &release);

// Does this kernel refuse modules without a signature? By its configuration's text and its command line.
bool signatures_enforced(std::string_view kernel_config, std::string_view command_line);

// A small archive to append: one file of the initrd, its path absolute (mounts/protocol.h: parameters_file, reginfo_file).
std::string archive_of(std::string_view path, std::string_view text);

// An initrd with such archives behind it, or none.
std::string with_archives(std::string initrd, std::string_view archives);

}  // namespace hostside
