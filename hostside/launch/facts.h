// What this host is like, for one machine: the program, the accelerator, the files to boot, the disks and shares that are there.
// Looked at without an effect: nothing is created, held or remembered, so that a run that is refused leaves nothing.
#pragma once

#include <string>
#include <vector>

#include "hostside/base/cache.h"
#include "hostside/boot/boot_files.h"
#include "hostside/description/machine.h"
#include "hostside/host/root_disk.h"
#include "hostside/launch/prepare.h"
#include "hostside/qemu/command.h"
#include "mounts/base/error.h"

namespace hostside {

// A file to boot. With bytes, it is not there yet.
struct BootFile {
    std::string path, bytes;
    std::string identity{};  // of what is in it
    bool cached = false;     // the cache has it, as long as it is used
};

struct BootFacts {
    Boot boot;
    BootFile kernel, initrd;   // an initrd that is neither there nor has a place in the cache has no path
    std::string registration;  // of what the guest's Nix shall know; empty: none, or the guest is told where it is
    bool cache = true;         // there is a place for what is made
};

struct LaunchFacts {
    HostFacts host;  // without what the plan decides: images, initrd, command line
    RootImageFacts root;
    BootFacts boot;                 // empty with a boot loader
    std::string efi_template;       // what the machine's EFI variables begin as; empty: it has some, or no EFI
    std::string host_certificates;  // file; empty: none is given
    std::string boot_label;         // with a boot loader's disk that we made, its file system's
    std::vector<Remembered> learned;
    std::vector<std::string> notes;  // for a person: why KVM is not used
};

// `machine`: with absolute paths. Error: whatever is missing, taken or refused on this host.
base::Result<LaunchFacts> look_at_host(const Machine &machine, const PrepareOptions &options);

}  // namespace hostside
