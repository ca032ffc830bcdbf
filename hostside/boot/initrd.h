// Makes the initrd: stage1 as /init and the kernel modules for this machine's devices and file systems. The same stage1,
// modules and names give identical bytes. Used by `runvm initrd` and, through the cache, by `runvm run`.
#pragma once

#include <string>
#include <vector>

#include "mounts/base/error.h"

namespace hostside {

struct InitrdSpec {
    std::string stage1;              // path of the stage1 program
    std::string modules;             // directory with modules.dep or lib/modules/RELEASE; empty: no modules
    std::string release;             // of the kernel; empty: the only one in `modules`
    std::vector<std::string> names;  // modules to include, with their dependencies
    std::vector<std::string> load;   // modules that the guest always loads (mounts/protocol.h, modules_file)
    bool keep_signatures = false;    // of modules; for kernels that enforce them
    bool keep_tracing = false;       // of modules: keep what only tracing needs (module_image.h)
    std::string shell{};             // a static busybox (debug_shell.h); empty: none
    bool operator==(const InitrdSpec &) const = default;
};

// Modules that every machine needs for the status port and file systems, and those for its disks. `disk_interface`: virtio, scsi
// or ide.
std::vector<std::string> modules_for(std::string_view disk_interface);

// Error: stage1 is missing; no modules for this release; a module is neither there nor built in.
base::Result<std::string> build_initrd(const InitrdSpec &spec);

// The directory with modules.dep for `release`. The Error lists the existing releases.
base::Result<std::string> modules_directory(const std::string &modules, const std::string &release);

// Whether this kernel refuses unsigned modules, according to its configuration and command line.
bool signatures_enforced(std::string_view kernel_config, std::string_view command_line);

// A small archive to append, with one file of the initrd. `path` is absolute (mounts/protocol.h: parameters_file,
// reginfo_file).
std::string archive_of(std::string_view path, std::string_view text);

// Appends such archives, if any, to an initrd.
std::string with_archives(std::string initrd, std::string_view archives);

}  // namespace hostside
