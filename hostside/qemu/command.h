// Turns a machine's description and facts about this host into QEMU's argv. Pure: reads and creates nothing.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "hostside/base/user.h"
#include "hostside/description/machine.h"
#include "mounts/base/error.h"

namespace hostside {

// What the launcher found out or created before.
struct HostFacts {
    std::string qemu;   // path of the QEMU program
    std::string runvm;  // path of runvm; QEMU starts it for a guest's connections to the host
    std::string qemu_version{};
    int qemu_major = 10;
    bool kvm = false;
    bool root = false;                    // QEMU stays root, so a guest's chown would be real on the host
    std::optional<User> run_as;           // the user that QEMU switches to
    bool run_with_user = true;            // switch with -run-with (QEMU 9.1 and later), otherwise with -runas
    bool sandbox = true;                  // this QEMU supports -sandbox on
    std::string kernel, initrd;           // files to boot
    std::string command_line;             // of the kernel
    std::string oem_parameters;           // replaces part of the command line if a boot loader boots
    std::string efi_code, efi_variables;  // flash files of the firmware; empty: SeaBIOS
    std::string tpm_socket;               // the machine's swtpm; empty: no TPM
    std::string memory_file;              // holds the guest's memory if the machine is saved or restored; empty: none
    bool restored = false;                // the machine gets a private copy of that memory (copy on write)
    std::string certificates;             // directory shared as the guest's /etc/ssl/certs; empty: none
    std::string root_image;               // empty: no root disk
    bool root_image_empty = false;        // nothing was ever written to it, so the guest need not read all of it
    std::vector<std::string> empty_images;
    std::string store_directory;  // the shared store, maybe a part of the machine's `store`; empty: all of it
    std::string store_image;      // disk that replaces the shared store; empty: none
    std::string store_socket;     // virtiofsd that shares the store instead; empty: none
    std::map<std::string, std::string, std::less<>> share_sockets;  // by tag, of the virtiofsds that share directories
    std::set<std::string> without_attributes;                       // directories where mapped-xattr would fail
    std::string xchg, shared;                                       // directories
    std::string runtime;                                            // holds all run directories and vlans
    std::string run_directory;                                      // for sockets and the console's log; mode 0700
    bool terminal = true;                                           // the console is on stdin and stdout
    std::string typed_pipe;   // otherwise typed input comes through this pipe (run/typed_pipe.h)
    int console_log_fd = -1;  // QEMU inherits it for the console's log; -1: writes a file (--print)
    bool monitor = false;     // ctrl-a c on the console opens QEMU's monitor
};

// Error: a path is too long for a socket, or shares or ports clash.
base::Result<std::vector<std::string>> qemu_argv(const Machine &machine, const HostFacts &facts);

// The vlans that a machine has a card on; those of `interfaces` come last.
std::vector<int> all_vlans(const Machine &machine);

// QEMU reads a doubled comma in an option's value as one comma (qemu(1), "Comma handling").
std::string escaped(std::string_view value);

}  // namespace hostside
