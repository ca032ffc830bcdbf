// From a machine's description and what this host is like to QEMU's argv. Pure: nothing is looked at or created here.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "hostside/base/user.h"
#include "hostside/description/machine.h"
#include "mounts/base/error.h"

namespace hostside {

// What the launcher found out or made before.
struct HostFacts {
    std::string qemu;   // the program's path
    std::string runvm;  // ours, which QEMU starts for connections of a guest to the host
    std::string qemu_version{};
    int qemu_major = 10;
    bool kvm = false;
    bool root = false;                    // QEMU stays root: then a guest's chown would be real on the host
    std::optional<User> run_as;           // that QEMU becomes
    bool run_with_user = true;            // and that is said with -run-with, as from QEMU 9.1 on; else with -runas
    bool sandbox = true;                  // this QEMU takes -sandbox on
    std::string kernel, initrd;           // files to boot
    std::string command_line;             // of the kernel
    std::string oem_parameters;           // instead of some of it, with a boot loader
    std::string efi_code, efi_variables;  // files of the firmware's flash; empty: SeaBIOS
    std::string tpm_socket;               // of the machine's swtpm; empty: no TPM
    std::string memory_file;              // that is the guest's memory, of a machine that is saved or restored; empty: none
    bool restored = false;                // of such a file, which it has a copy of its own of (copy on write)
    std::string certificates;             // directory that is shared as the guest's /etc/ssl/certs; empty: none
    std::string root_image;               // empty: no root disk
    bool root_image_empty = false;        // nothing was ever written to it: the guest need not read all of it to know
    std::vector<std::string> empty_images;
    std::string store_directory;  // what is shared as the store, which may be less than the machine's `store`; empty: that one
    std::string store_image;      // what is its disk instead; empty: none
    std::string store_socket;     // of the virtiofsd that shares it instead; empty: none
    std::set<std::string> without_attributes;  // directories in which mapped-xattr would fail
    std::string xchg, shared;                  // directories
    std::string runtime;                       // the directory of all run directories and vlans
    std::string run_directory;                 // for sockets and the console's log, 0700
    bool terminal = true;                      // the console is on stdin and stdout; else on a socket, for `runvm console`
    std::string typed_pipe;                    // instead of both: what is typed comes through it (run/typed_pipe.h); empty: no
    int console_log_fd = -1;                   // QEMU inherits it and writes the console's log there; -1: into a file (--print)
    bool monitor = false;                      // ctrl-a c on the console leads to QEMU's monitor
};

// Error: a path too long for a socket, shares or ports that clash.
base::Result<std::vector<std::string>> qemu_argv(const Machine &machine, const HostFacts &facts);

// The switches that a machine has a card on, those of `interfaces` last.
std::vector<int> all_vlans(const Machine &machine);

// QEMU reads a doubled comma in an option's value as one (qemu(1), "Comma handling").
std::string escaped(std::string_view value);

}  // namespace hostside
