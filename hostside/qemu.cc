#include "hostside/qemu.h"

#include <format>

#include "hostside/words.h"
#include "mounts/protocol.h"

namespace hostside {

namespace p = mounts::protocol;

namespace {

// A guest's root that is QEMU's root would make real setuid files and device nodes: then owner and mode go to xattrs.
std::string_view security_model(const SharedDirectory &share, const RunContext &context) {
    return context.root && !share.read_only ? "mapped-xattr" : "none";
}

void add_shares(std::vector<std::string> &argv, const Machine &machine, const RunContext &context) {
    for (const SharedDirectory &share : machine.shares) {
        argv.emplace_back("-virtfs");
        // Without remap, two file systems beneath one share could show the same inode number (nixpkgs #22695).
        argv.push_back(std::format("local,path={},mount_tag={},security_model={},multidevs=remap{}", qemu_value(share.source),
                                   share.tag, security_model(share, context), share.read_only ? ",readonly=on" : ""));
    }
}

void add_disk(std::vector<std::string> &argv, const Machine &machine) {
    if (machine.disk_image.empty()) return;
    argv.insert(argv.end(), {"-drive",
                             std::format("file={},id=root,if=none,format=qcow2,cache=writeback,werror=report",
                                         qemu_value(machine.disk_image)),
                             "-device", std::format("virtio-blk-pci,drive=root,serial={}", p::root_disk_serial)});
}

void add_ports(std::vector<std::string> &argv, const RunContext &context) {
    if (context.status_fd >= 0)
        argv.insert(argv.end(),
                    {"-device", "virtio-serial-pci", "-chardev", std::format("socket,id=status,fd={}", context.status_fd),
                     "-device", std::format("virtserialport,chardev=status,name={}", p::status_port)});
    if (context.qmp_fd >= 0)
        argv.insert(argv.end(),
                    {"-chardev", std::format("socket,id=qmp,fd={}", context.qmp_fd), "-mon", "chardev=qmp,mode=control"});
}

}  // namespace

std::string kernel_command_line(const Machine &machine) {
    std::string line;
    const auto add = [&](const std::string &word) { line += (line.empty() ? "" : " ") + word; };
    for (const auto &parameter : machine.kernel_parameters) add(parameter);
    if (!machine.graphics) add("console=ttyS0");
    add(std::format("{}={}", p::root_parameter,
                    machine.disk_image.empty() ? "tmpfs" : std::format("serial={}", p::root_disk_serial)));
    add(std::format("{}={}", p::init_parameter, machine.init));
    if (!machine.reginfo.empty()) add(std::format("{}={}", p::reginfo_parameter, machine.reginfo));
    add(std::format("{}={}", p::union_parameter, machine.store_union));
    return line;
}

std::vector<std::string> qemu_argv(const Machine &machine, const RunContext &context) {
    std::vector<std::string> argv{context.qemu, "-name", qemu_value(machine.name), "-machine", "pc"};
    // QEMU 7 emulates cmpxchg16b wrongly now and then: guests panic at random under -cpu max.
    const char *emulated = context.qemu_major >= 8 ? "max" : "max,-cx16";
    argv.insert(argv.end(), {"-accel", context.kvm ? "kvm" : "tcg", "-cpu", context.kvm ? "host" : emulated});
    argv.insert(argv.end(), {"-m", std::to_string(machine.memory_mib), "-smp", std::to_string(machine.cores)});
    argv.insert(argv.end(), {"-kernel", context.kernel, "-initrd", context.initrd, "-append", kernel_command_line(machine)});
    add_disk(argv, machine);
    add_shares(argv, machine, context);
    argv.insert(argv.end(), {"-netdev", "user,id=user0" + (machine.network_options.empty() ? "" : "," + machine.network_options),
                             "-device", "virtio-net-pci,netdev=user0"});
    argv.insert(argv.end(), {"-device", "virtio-rng-pci", "-device", "pvpanic"});
    add_ports(argv, context);
    if (machine.graphics)
        argv.insert(argv.end(), {"-vga", "std"});
    else
        argv.insert(argv.end(), {"-display", "none", "-serial", context.terminal ? "mon:stdio" : "stdio"});
    argv.insert(argv.end(), machine.qemu_options.begin(), machine.qemu_options.end());
    return argv;
}

}  // namespace hostside
