// A machine's description as values: the result of merging a file, the environment and flags (description/description.h), with
// all defaults filled in. Names follow NixOS (virtualisation.* in qemu-vm.nix). No behavior.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace hostside {

struct SharedDirectory {
    std::string tag, source, target;
    std::string security_model;  // none, mapped-xattr, mapped-file, passthrough; empty: chosen for the user (qemu.h)
    std::string proto;           // auto, 9p, virtiofs; empty: what shareKind says
    bool read_only = false;
};

struct ForwardPort {
    std::string from = "host";  // host: a host port leads into the guest; guest: the reverse
    std::string protocol = "tcp";
    std::string host_address, guest_address;
    int host_port = 0, guest_port = 0;
};

// A card on a virtual switch, in addition to `vlans`. The guest chooses its name and address: NixOS derives them from the
// card's MAC, which contains the numbers of the switch and the machine.
struct Interface {
    std::string name;
    int vlan = 0;
};

struct Drive {
    std::string file, serial, format = "qcow2";
    bool read_only = false;
};

// A secret for the guest's systemd, which looks it up by name.
struct Credential {
    std::string name, source;  // source: a file on the host
};

struct Machine {
    std::string name;
    // what is booted
    std::string store, toplevel, kernel, modules, initrd, init, reginfo, stage1, root_device;
    std::string store_kind;         // auto, 9p, erofs, virtiofs: how the guest gets its store
    std::string store_view;         // auto, closure, all: the part of the store that it sees
    std::string store_compression;  // none, lz4, lz4hc: for an erofs image
    bool use_nix_store_image = false;
    std::string fstab;  // auto, yes, no: whether stage 2 mounts the entries of its own etc/fstab
    std::vector<std::string> kernel_params, consoles, extra_modules, paths_in_nix_db;
    std::vector<Credential> credentials;
    std::string debug_shell;      // a static busybox for the initrd, or `auto`; empty: none
    bool module_tracing = false;  // the initrd's modules keep data that only tracing needs
    bool writable_store = true, writable_store_use_tmpfs = true, use_boot_loader = false;
    std::string boot_disk, boot_disk_format, bios;
    int boot_disk_mib = 0;            // if runvm makes it
    bool install_boot_loader = true;  // if runvm makes it
    bool use_efi_boot = false, use_secure_boot = false;
    // Flash files: the firmware, the initial variables of a new machine, and the machine's own variables.
    std::string efi_firmware, efi_variables, efi_own_variables;
    bool keep_efi_variables = true;  // the variables from making the boot disk
    // hardware
    int memory_mib = 0, cores = 0;
    std::string cpu, accelerator, machine_type, disk_interface;
    bool graphics = false, virtio_keyboard = true, rng = true, balloon = false, guest_agent = false;
    bool allow_reboot = false, sandbox = true;
    int width = 0, height = 0;
    unsigned vsock_cid = 0;  // 0: no vsock
    bool tpm = false;
    std::string tpm_model, tpm_provisioning, tpm_state, swtpm;
    // disks
    std::string disk_image;         // empty: a root on tmpfs
    std::string disk_image_format;  // qcow2, raw
    int disk_mib = 0;
    std::vector<int> empty_disks_mib;
    std::vector<Drive> drives;
    std::vector<std::string> backing_files;  // files that an image may use as backing files
    bool ephemeral = false;
    // shares and networks
    std::string shared_dir;
    std::string share_kind;  // auto, 9p, virtiofs: how the guest gets xchg, shared and the shared directories
    bool use_host_certs = false;
    int msize = 0;
    std::vector<SharedDirectory> shared_directories;
    bool restrict_network = false;
    std::vector<ForwardPort> forward_ports;
    std::vector<int> vlans;
    std::vector<Interface> interfaces;
    int node_number = 1;
    std::string user_network_options;             // appended to -netdev user,id=user.0
    std::vector<std::string> networking_options;  // QEMU arguments instead of the user network; empty: the user network
    // QEMU
    std::string qemu;
    std::string run_as;  // the user that QEMU runs as; empty: the user who starts it
    std::vector<std::string> qemu_options;
    int timeout_s = 0;           // 0: none
    std::string snapshot_point;  // ready, before-stage-2: where a snapshot saves the machine
};

}  // namespace hostside
