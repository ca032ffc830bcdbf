// The facts about this host for one machine: the program, the accelerator, the files to boot, the existing disks and shares.
// Collecting them creates, locks and records nothing, so that a refused run leaves nothing behind.
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

// A file to boot. If `bytes` is set, the file does not exist yet.
struct BootFile {
    std::string path, bytes;
    std::string identity{};  // identifies the content
    bool cached = false;     // it is in the cache, and is kept there while in use
};

struct BootFacts {
    Boot boot;
    BootFile kernel, initrd;   // an initrd that does not exist and has no place in the cache has no path
    std::string registration;  // for the guest's Nix; empty: none, or the guest is told its path
    bool cache = true;         // there is a place for generated files
};

struct LaunchFacts {
    HostFacts host;  // without the plan's decisions: images, initrd, command line
    RootImageFacts root;
    BootFacts boot;                 // empty with a boot loader
    std::string efi_template;       // initial EFI variables of the machine; empty: it has its own, or no EFI
    std::string host_certificates;  // file; empty: none
    std::string boot_label;         // for a boot loader's disk that runvm made: the label of its file system
    std::vector<Remembered> learned;
    std::vector<std::string> notes;  // for a person: why KVM is not used
};

// `machine` must have absolute paths. Error: something is missing, in use or refused on this host.
base::Result<LaunchFacts> look_at_host(const Machine &machine, const PrepareOptions &options);

}  // namespace hostside
