// A machine as a value: what QEMU is to be told, in NixOS's words, whoever said it (flags, environment, a description).
// No effects here; qemu.h turns it into an argv, and image.h, initrd.h and supervise.h do the rest.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hostside {

// A folder of the host that the guest mounts by its tag.
struct SharedDirectory {
    std::string tag;
    std::string source;
    bool read_only = false;
};

struct Machine {
    std::string name = "nixos";
    std::string store = "/nix/store";
    std::string toplevel;  // a NixOS system in that store; empty: kernel, initrd and init are given one by one
    std::string kernel;
    std::string initrd;   // empty: one is made from stage1 and `modules`
    std::string modules;  // folder of one kernel's modules (…/lib/modules/RELEASE); empty: everything is built in
    std::string init;     // path in the guest
    std::vector<std::string> kernel_parameters;
    std::string reginfo;  // path in the guest; empty: none
    std::string store_union = "tmpfs";
    std::string disk_image;  // empty: no disk, the root is a tmpfs
    uint64_t disk_size_mib = 512;
    uint32_t memory_mib = 1024;
    uint32_t cores = 1;
    bool graphics = false;
    std::string network_options;  // after `-netdev user,id=…,`
    std::vector<SharedDirectory> shares;
    std::vector<std::string> qemu_options;  // as they are, last
};

}  // namespace hostside
