#include "hostside/qemu.h"

#include <sys/un.h>

#include <algorithm>
#include <format>
#include <set>

#include "mounts/protocol.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;
namespace protocol = mounts::protocol;

using Argv = std::vector<std::string>;

void add(Argv &argv, std::string option, std::string value) {
    argv.push_back(std::move(option));
    argv.push_back(std::move(value));
}

void add_accelerator(Argv &argv, const Machine &m, const HostFacts &facts) {
    add(argv, "-machine", m.machine_type);
    add(argv, "-accel", facts.kvm ? "kvm" : "tcg");
    std::string cpu = m.cpu;
    if (cpu.empty()) cpu = facts.kvm ? "host" : "max";
    // QEMU 7's emulation of cmpxchg16b makes guests panic now and then.
    if (cpu == "max" && !facts.kvm && facts.qemu_major < 8) cpu += ",-cx16";
    add(argv, "-cpu", cpu);
    add(argv, "-smp", std::to_string(m.cores));
    add(argv, "-m", std::format("{}M", m.memory_mib));
}

// One disk. The drive's id is made of our own characters; QEMU cuts a virtio serial at 20 bytes.
void add_disk(Argv &argv, const Machine &m, std::string_view id, const std::string &file, std::string_view format,
              std::string_view serial, bool read_only, int boot_index = 0) {
    add(argv, "-drive",
        std::format("if=none,id={},file={},format={},cache=writeback,werror=report{}", id, escaped(file), format,
                    read_only ? ",readonly=on" : ""));
    std::string device = "virtio-blk-pci";
    if (m.disk_interface == "scsi") device = "scsi-hd,bus=scsi.0";
    if (m.disk_interface == "ide") device = "ide-hd";
    std::string option = std::format("{},drive={}", device, id);
    if (!serial.empty()) option += std::format(",serial={}", escaped(serial));
    if (boot_index > 0) option += std::format(",bootindex={}", boot_index);
    add(argv, "-device", option);
}

void add_disks(Argv &argv, const Machine &m, const HostFacts &facts) {
    if (m.disk_interface == "scsi") add(argv, "-device", "virtio-scsi-pci,id=scsi");
    if (!facts.root_image.empty())
        add_disk(argv, m, "root", facts.root_image, "qcow2", protocol::root_disk_serial, false, m.use_boot_loader ? 2 : 0);
    if (m.use_boot_loader) {
        add_disk(argv, m, "boot", m.boot_disk, "qcow2", "boot", false, 1);
        add(argv, "-boot", "menu=on");
    }
    for (size_t i = 0; i < facts.empty_images.size(); ++i)
        add_disk(argv, m, std::format("empty{}", i), facts.empty_images[i], "qcow2", std::format("empty{}", i), false);
    for (size_t i = 0; i < m.drives.size(); ++i)
        add_disk(argv, m, std::format("drive{}", i), m.drives[i].file, m.drives[i].format, m.drives[i].serial,
                 m.drives[i].read_only);
}

void add_share(Argv &argv, const std::string &path, std::string_view tag, std::string_view model, bool read_only) {
    add(argv, "-virtfs",
        std::format("local,path={},security_model={},mount_tag={}{},multidevs=remap", escaped(path), model, escaped(tag),
                    read_only ? ",readonly=on" : ""));
}

Result<> add_shares(Argv &argv, const Machine &m, const HostFacts &facts) {
    // As root, `none` would make a guest's setuid bits, owners and devices real on the host.
    const std::string_view safe = facts.root ? "mapped-xattr" : "none";
    std::set<std::string, std::less<>> tags;
    if (!m.store.empty()) {
        add_share(argv, m.store, protocol::store_tag, "none", true);
        tags.emplace(protocol::store_tag);
    }
    for (const auto &[tag, path] : {std::pair{protocol::xchg_tag, facts.xchg}, {protocol::shared_tag, facts.shared}}) {
        if (path.empty()) continue;
        add_share(argv, path, tag, safe, false);
        tags.emplace(tag);
    }
    for (const auto &s : m.shared_directories) {
        // QEMU makes an id of it (qemu: id_wellformed).
        constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        constexpr std::string_view others = "0123456789-._";
        if (s.tag.empty() || !letters.contains(s.tag.front()) ||
            s.tag.find_first_not_of(std::string(letters) + std::string(others)) != std::string::npos)
            return fail(0, "share", s.tag, "a tag begins with a letter and has letters, digits, '-', '.' and '_'");
        if (!tags.emplace(s.tag).second)
            return fail(0, "share", s.tag,
                        "the tag is taken (store, xchg and shared are the launcher's own); choose another name");
        add_share(argv, s.source, s.tag, s.security_model.empty() ? safe : std::string_view(s.security_model), s.read_only);
    }
    return {};
}

Result<std::string> user_network(const Machine &m) {
    std::string net = "user,id=user.0";
    if (m.restrict_network) net += ",restrict=on";
    std::set<std::string> taken;
    for (const auto &p : m.forward_ports) {
        const std::string key = std::format("{} {} {}", p.from, p.protocol, p.from == "host" ? p.host_port : p.guest_port);
        if (!taken.insert(key).second)
            return fail(0, "forward port", std::format("{}", p.from == "host" ? p.host_port : p.guest_port),
                        std::format("two of forwardPorts take this {} port of the {}; change one", p.protocol, p.from));
        if (p.from == "host")
            net += std::format(",hostfwd={}:{}:{}-{}:{}", p.protocol, p.host_address, p.host_port, p.guest_address, p.guest_port);
        else
            net += std::format(",guestfwd={}:{}:{}-cmd:nc {} {}", p.protocol,
                               p.guest_address.empty() ? "10.0.2.100" : p.guest_address, p.guest_port,
                               p.host_address.empty() ? "127.0.0.1" : p.host_address, p.host_port);
    }
    // Users write it with a leading comma or without.
    if (!m.net_options.empty()) net += (m.net_options.starts_with(',') ? "" : ",") + m.net_options;
    return net;
}

Result<> add_networks(Argv &argv, const Machine &m) {
    auto net = user_network(m);
    if (!net) return std::unexpected(net.error());
    add(argv, "-netdev", *net);
    add(argv, "-device", "virtio-net-pci,netdev=user.0");
    // A virtual switch a vlan: multicast that never leaves the loopback device, so that no one needs to be root.
    // Addresses of the cards as NixOS's test driver gives them (nixos/lib/qemu-common.nix).
    for (size_t i = 0; i < m.vlans.size(); ++i) {
        const int vlan = m.vlans[i];
        add(argv, "-netdev",
            std::format("socket,id=vlan{0},mcast=230.0.0.{1}:{2},localaddr=127.0.0.1", i + 1, vlan % 256, 21000 + vlan));
        add(argv, "-device",
            std::format("virtio-net-pci,netdev=vlan{},mac=52:54:00:12:{:02x}:{:02x}", i + 1, vlan, m.node_number));
    }
    return {};
}

Result<std::string> socket_path(const HostFacts &facts, std::string_view name) {
    std::string path = std::format("{}/{}", facts.run_folder, name);
    if (path.size() >= sizeof(sockaddr_un::sun_path))
        return fail(0, "socket", path,
                    std::format("{} bytes, a socket's path has at most {}; set XDG_RUNTIME_DIR to a shorter folder", path.size(),
                                sizeof(sockaddr_un::sun_path) - 1));
    return path;
}

Result<> add_channels(Argv &argv, const Machine &m, const HostFacts &facts) {
    auto status = socket_path(facts, status_socket);
    if (!status) return std::unexpected(status.error());
    auto qmp = socket_path(facts, qmp_socket);
    if (!qmp) return std::unexpected(qmp.error());
    auto console = socket_path(facts, console_socket);
    if (!console) return std::unexpected(console.error());
    const std::string log = escaped(std::format("{}/{}", facts.run_folder, console_log));
    if (facts.terminal)
        add(argv, "-chardev", std::format("stdio,id=console,{}logfile={}", facts.monitor ? "mux=on,signal=off," : "", log));
    else
        add(argv, "-chardev", std::format("socket,id=console,path={},server=on,wait=off,logfile={}", escaped(*console), log));
    add(argv, "-serial", "chardev:console");
    if (facts.terminal && facts.monitor) add(argv, "-mon", "chardev=console,mode=readline");
    add(argv, "-chardev", std::format("socket,id=qmp,path={},server=on,wait=off", escaped(*qmp)));
    add(argv, "-mon", "chardev=qmp,mode=control");
    add(argv, "-device", "virtio-serial-pci");
    add(argv, "-chardev", std::format("socket,id=status,path={},server=on,wait=off", escaped(*status)));
    add(argv, "-device", std::format("virtserialport,chardev=status,name={}", protocol::status_port));
    if (m.guest_agent) {
        auto agent = socket_path(facts, "agent");
        if (!agent) return std::unexpected(agent.error());
        add(argv, "-chardev", std::format("socket,id=agent,path={},server=on,wait=off", escaped(*agent)));
        add(argv, "-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0");
    }
    return {};
}

void add_display(Argv &argv, const Machine &m) {
    if (!m.graphics) {
        add(argv, "-display", "none");
        return;
    }
    std::string vga = "VGA";
    if (m.width > 0) vga += std::format(",xres={},yres={}", m.width, m.height);
    add(argv, "-device", vga);
    add(argv, "-device", "virtio-keyboard-pci");
    add(argv, "-usb", {});
    argv.pop_back();
    add(argv, "-device", "usb-tablet");
}

}  // namespace

std::string escaped(std::string_view value) {
    std::string result;
    for (const char c : value) result.append(c == ',' ? 2 : 1, c);
    return result;
}

Result<Argv> qemu_argv(const Machine &m, const HostFacts &facts) {
    Argv argv{facts.qemu, "-name", escaped(m.name), "-nodefaults", "-no-user-config"};
    if (facts.sandbox && m.sandbox) add(argv, "-sandbox", "on");
    if (!m.allow_reboot) argv.emplace_back("-no-reboot");
    add_accelerator(argv, m, facts);
    add_display(argv, m);
    if (auto done = add_channels(argv, m, facts); !done) return std::unexpected(done.error());
    add_disks(argv, m, facts);
    if (auto done = add_shares(argv, m, facts); !done) return std::unexpected(done.error());
    if (auto done = add_networks(argv, m); !done) return std::unexpected(done.error());
    if (m.rng) add(argv, "-device", "virtio-rng-pci");
    if (m.balloon) add(argv, "-device", "virtio-balloon-pci");
    if (m.vsock_cid > 0) add(argv, "-device", std::format("vhost-vsock-pci,guest-cid={}", m.vsock_cid));
    if (!m.use_boot_loader) {
        add(argv, "-kernel", facts.kernel);
        add(argv, "-initrd", facts.initrd);
        add(argv, "-append", facts.command_line);
    }
    argv.insert(argv.end(), m.qemu_options.begin(), m.qemu_options.end());
    return argv;
}

std::string kernel_command_line(const Machine &m, std::string_view toplevel_params, const std::string &init) {
    std::string line(toplevel_params);
    while (line.ends_with('\n') || line.ends_with(' ')) line.pop_back();
    const auto more = [&](std::string_view word) { line.append(line.empty() ? "" : " ").append(word); };
    // The last console is the one that /dev/console is. A panic ends the machine at once: QEMU has -no-reboot.
    if (m.graphics) {
        more("console=ttyS0");
        more("console=tty0");
    } else {
        more("console=ttyS0");
    }
    more("panic=-1");
    if (!init.empty()) more(std::format("{}={}", protocol::init_parameter, init));
    if (!m.reginfo.empty()) more(std::format("{}={}", protocol::reginfo_parameter, m.reginfo));
    more(m.disk_image.empty() ? std::format("{}=tmpfs", protocol::root_parameter)
                              : std::format("{}=serial={}", protocol::root_parameter, protocol::root_disk_serial));
    more(std::format("{}={}", protocol::union_parameter,
                     !m.writable_store            ? "off"
                     : m.writable_store_use_tmpfs ? "tmpfs"
                                                  : "disk"));
    for (const auto &s : m.shared_directories) {
        std::string options = s.read_only ? "ro" : "";
        if (m.msize > 0) options += std::format("{}msize={}", options.empty() ? "" : ",", m.msize);
        more(std::format("{}={}:{}{}{}", protocol::share_parameter, s.tag, s.target, options.empty() ? "" : ":", options));
    }
    for (const auto &p : m.kernel_params) more(p);
    return line;
}

Result<CommandLineParts> command_line_parts(const std::string &whole) {
    if (whole.size() <= protocol::command_line_limit_bytes) return CommandLineParts{whole, ""};
    CommandLineParts parts;
    bool quoted = false;
    size_t start = 0;
    for (size_t i = 0; i <= whole.size(); ++i) {
        if (i < whole.size() && whole[i] == '"') quoted = !quoted;
        if (i < whole.size() && (quoted || whole[i] != ' ')) continue;
        const std::string word = whole.substr(start, i - start);
        start = i + 1;
        if (word.empty()) continue;
        const std::string_view name = std::string_view(word).substr(0, word.find('='));
        const bool ours = name.starts_with("stage1.") || name == protocol::reginfo_parameter;
        std::string &part = ours ? parts.parameters : parts.line;
        part += (part.empty() ? "" : " ") + word;
    }
    if (parts.line.size() > protocol::command_line_limit_bytes)
        return fail(
            0, "kernel command line", "",
            std::format("{} bytes without those that the initrd can carry; the kernel cuts it at {}: use fewer kernelParams",
                        parts.line.size(), protocol::command_line_limit_bytes));
    return parts;
}

}  // namespace hostside
