#include "hostside/qemu/command.h"

#include <algorithm>
#include <array>
#include <format>
#include <set>
#include <string_view>

#include "hostside/qemu/parts.h"
#include "mounts/protocol.h"

namespace hostside {

namespace {

void add_accelerator(Argv &argv, const Machine &m, const HostFacts &facts) {
    // SeaBIOS then writes to the serial line, so that a disk without a boot loader gives a message.
    const bool firmware_speaks = m.use_boot_loader && !m.graphics;
    add(argv, "-machine",
        m.machine_type + (facts.memory_file.empty() ? "" : ",memory-backend=memory") + (m.use_secure_boot ? ",smm=on" : "") +
            (firmware_speaks && !m.use_efi_boot ? ",graphics=off" : ""));
    add(argv, "-accel", facts.kvm ? "kvm" : "tcg");
    std::string cpu = m.cpu;
    if (cpu.empty()) cpu = facts.kvm ? "host" : "max";
    // QEMU 7's emulation of cmpxchg16b sometimes makes guests panic.
    if (cpu == "max" && !facts.kvm && facts.qemu_major < 8) cpu += ",-cx16";
    add(argv, "-cpu", cpu);
    add(argv, "-smp", std::to_string(m.cores));
    add(argv, "-m", std::format("{}M", m.memory_mib));
    if (!facts.memory_file.empty()) {
        // A private mapping of a file. If this version has the option, not even QEMU can write to the file.
        constexpr int knows_rom = 9;
        const std::string_view how = !facts.restored ? "on" : facts.qemu_major >= knows_rom ? "off,readonly=on,rom=off" : "off";
        add(argv, "-object",
            std::format("memory-backend-file,id=memory,size={}M,mem-path={},share={}", m.memory_mib, escaped(facts.memory_file),
                        how));
    }
    if (facts.store_socket.empty() && facts.share_sockets.empty()) return;
    // virtiofsd writes to the guest's memory directly.
    add(argv, "-object", std::format("memory-backend-memfd,id=memory,size={}M,share=on", m.memory_mib));
    add(argv, "-numa", "node,memdev=memory");
}

void add_display(Argv &argv, const Machine &m) {
    if (!m.graphics) {
        add(argv, "-display", "none");
        return;
    }
    std::string vga = "VGA";
    if (m.width > 0) vga += std::format(",xres={},yres={}", m.width, m.height);
    add(argv, "-device", vga);
    if (m.virtio_keyboard) add(argv, "-device", "virtio-keyboard-pci");
    argv.emplace_back("-usb");
    add(argv, "-device", "usb-tablet");
}

// QEMU starts programs for the guest's connections to the host, and for some options that a person may pass: a bridge's helper,
// a tap's script, exec: and cmd:. The libraries of a window may start programs too.
bool starts_programs(const Machine &m) {
    if (m.graphics || !m.networking_options.empty()) return true;
    if (std::ranges::any_of(m.forward_ports, [](const ForwardPort &p) { return p.from == "guest"; })) return true;
    constexpr std::array<std::string_view, 8> telling{"tap", "bridge", "cmd:", "exec:", "smb=", "script", "helper", "-display"};
    std::string words = m.user_network_options;
    for (const auto &word : m.qemu_options) (words += ' ') += word;
    return std::ranges::any_of(telling, [&](std::string_view one) { return words.contains(one); });
}

// QEMU switches to the other user after the filter is active, and denying these calls would end it. Allowing them is safe,
// because QEMU then has no privileges and cannot gain any (the filter sets no_new_privs).
std::string_view denied(const Machine &m, const HostFacts &facts) {
    if (starts_programs(m)) return "";
    return facts.run_as ? ",spawn=deny" : ",elevateprivileges=deny,spawn=deny";
}

void add_firmware(Argv &argv, const Machine &m, const HostFacts &facts) {
    // Only the firmware can write the variables, not the guest's kernel.
    if (m.use_secure_boot) add(argv, "-global", "driver=cfi.pflash01,property=secure,value=on");
    add(argv, "-drive", std::format("if=pflash,format=raw,unit=0,readonly=on,file={}", escaped(facts.efi_code)));
    add(argv, "-drive", std::format("if=pflash,format=raw,unit=1,file={}", escaped(facts.efi_variables)));
}

// Credentials go into files of fw_cfg: others could see them on the command line, and SeaBIOS has little room for SMBIOS.
base::Result<> add_credentials(Argv &argv, const Machine &m) {
    // QEMU allows 55 bytes for a file's name and has a few slots besides its own files (FW_CFG_MAX_FILE_PATH,
    // FW_CFG_FILE_SLOTS_DFLT).
    constexpr std::string_view prefix = "opt/io.systemd.credentials/";
    constexpr size_t most_names = 12, most_bytes = 55 - prefix.size();
    constexpr std::string_view step = "give credential";
    if (m.credentials.size() > most_names)
        return base::fail(0, step, m.credentials[most_names].name, std::format("at most {} credentials fit", most_names));
    std::set<std::string_view> names;
    for (const auto &[name, source] : m.credentials) {
        // The rules of systemd (credential_name_valid), and what QEMU's options cannot express.
        if (name.empty() || name == "." || name == ".." || name.find_first_of("/,=:") != std::string::npos ||
            std::ranges::any_of(name, [](unsigned char c) { return c <= ' ' || c >= 0x7f; }))
            return base::fail(0, step, name, "not a credential's name: use visible characters other than / , = :");
        if (name.size() > most_bytes)
            return base::fail(0, step, name, std::format("{} bytes; QEMU's fw_cfg has room for {}", name.size(), most_bytes));
        if (!names.insert(name).second) return base::fail(0, step, name, "given twice");
        add(argv, "-fw_cfg", std::format("name={}{},file={}", prefix, name, escaped(source)));
    }
    return {};
}

// The slots of the first bus that neither machine type uses itself; runvm adds no bridge.
constexpr size_t pci_slots = 30;

base::Result<> check_qemu_words(const Argv &argv, const Machine &m) {
    for (const auto &word : m.qemu_options)
        if (word == "-daemonize" || word == "--daemonize")
            return base::fail(0, "QEMU argument", word,
                              "the launcher must stay with its QEMU; to run in the background, use runvm start");
    size_t devices = 0;
    for (size_t i = 0; i + 1 < argv.size(); ++i) {
        const std::string_view device = std::string_view(argv[i + 1]).substr(0, argv[i + 1].find(','));
        const bool own_place = argv[i + 1].contains("bus=") && !argv[i + 1].contains("bus=pci");
        const bool pci = device.contains("-pci") || device == "VGA" || device == "e1000";
        if (argv[i] == "-virtfs" || (argv[i] == "-device" && pci && !own_place)) ++devices;
    }
    if (devices > pci_slots && m.disk_interface != "scsi" && m.empty_disks_mib.size() + m.drives.size() > 1)
        return base::fail(
            0, "add device", std::format("{} on PCI", devices),
            std::format("{} has room for {}; with --disk-interface scsi, all disks share one device", m.machine_type, pci_slots));
    if (devices > pci_slots)
        return base::fail(
            0, "add device", std::format("{} on PCI", devices),
            std::format("{} has room for {}; share fewer directories, or join fewer switches", m.machine_type, pci_slots));
    return {};
}

}  // namespace

std::string escaped(std::string_view value) {
    std::string result;
    for (const char c : value) result.append(c == ',' ? 2 : 1, c);
    return result;
}

base::Result<Argv> qemu_argv(const Machine &m, const HostFacts &facts) {
    Argv argv{facts.qemu, "-name", "guest=" + escaped(m.name), "-nodefaults", "-no-user-config"};
    if (facts.sandbox && m.sandbox) add(argv, "-sandbox", "on,obsolete=deny" + std::string(denied(m, facts)));
    if (facts.run_as) {
        const std::string user = std::format("{}:{}", facts.run_as->uid, facts.run_as->gid);
        add(argv, facts.run_with_user ? "-run-with" : "-runas", facts.run_with_user ? "user=" + user : user);
    }
    if (!m.allow_reboot) argv.emplace_back("-no-reboot");
    add_accelerator(argv, m, facts);
    add_display(argv, m);
    if (auto done = add_channels(argv, m, facts); !done) return std::unexpected(done.error());
    if (auto done = add_disks(argv, m, facts); !done) return std::unexpected(done.error());
    if (auto done = add_shares(argv, m, facts); !done) return std::unexpected(done.error());
    if (auto done = add_networks(argv, m, facts); !done) return std::unexpected(done.error());
    if (m.rng) add(argv, "-device", "virtio-rng-pci");
    if (m.balloon) add(argv, "-device", "virtio-balloon-pci");
    if (m.vsock_cid > 0) add(argv, "-device", std::format("vhost-vsock-pci,guest-cid={}", m.vsock_cid));
    // Tells the guest's kernel immediately that it is another machine now, so that it reseeds its random numbers before its
    // programs use them. Before stage 2 only stage 1 runs, which reseeds by itself, and emulating this interrupt is expensive.
    if (!facts.memory_file.empty() && m.snapshot_point == "ready") add(argv, "-device", "vmgenid,guid=auto");
    if (!m.bios.empty()) add(argv, "-bios", m.bios);
    if (m.use_efi_boot) add_firmware(argv, m, facts);
    if (!facts.tpm_socket.empty()) {
        add(argv, "-chardev", "socket,id=tpm,path=" + escaped(facts.tpm_socket));
        add(argv, "-tpmdev", "emulator,id=tpm,chardev=tpm");
        add(argv, "-device", m.tpm_model + ",tpmdev=tpm");
    }
    if (auto done = add_credentials(argv, m); !done) return std::unexpected(done.error());
    if (facts.restored) {
        add(argv, "-incoming", "defer");
    } else if (!m.use_boot_loader) {
        add(argv, "-kernel", facts.kernel);
        add(argv, "-initrd", facts.initrd);
        add(argv, "-append", facts.command_line);
    }
    if (m.use_boot_loader && !facts.oem_parameters.empty())
        add(argv, "-smbios",
            "type=11,value=" + escaped(std::format("{}{}", mounts::protocol::oem_parameters_prefix, facts.oem_parameters)));
    argv.insert(argv.end(), m.qemu_options.begin(), m.qemu_options.end());
    if (auto done = check_qemu_words(argv, m); !done) return std::unexpected(done.error());
    return argv;
}

}  // namespace hostside
