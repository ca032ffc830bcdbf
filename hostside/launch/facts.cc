#include "hostside/launch/facts.h"

#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <format>

#include "hostside/base/exists.h"
#include "hostside/host/ports.h"
#include "hostside/host/qcow2.h"
#include "hostside/host/run_directory.h"
#include "hostside/host/share_probe.h"
#include "hostside/host/swtpm.h"
#include "hostside/host/vlan.h"
#include "hostside/launch/boot_disk.h"
#include "hostside/launch/boot_facts.h"
#include "hostside/qemu/firmware.h"
#include "hostside/qemu/program.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;
namespace fs = std::filesystem;

// A new directory in the run directory. With TMPDIR and USE_TMPDIR it is $TMPDIR/xchg, as in the 2013 script.
Result<std::string> xchg_path(const std::string &run_directory, const std::optional<User> &owner) {
    const char *temporary = std::getenv("TMPDIR");
    const char *use = std::getenv("USE_TMPDIR");
    const bool kept = temporary != nullptr && *temporary != '\0' && use != nullptr && *use != '\0';
    return kept ? own_directory_path(fs::absolute(temporary), "xchg", owner) : run_directory + "/xchg";
}

// Finds directories in which QEMU, as root, can't store the guest's file owners.
void look_at_attributes(LaunchFacts &facts, const Machine &m) {
    HostFacts &host = facts.host;
    if (!host.root) return;
    const bool xchg_served = m.share_kind == "virtiofs";
    if (!xchg_served && !keeps_attributes(fs::path(host.xchg).parent_path())) {
        host.without_attributes.insert(host.xchg);
        facts.notes.push_back(
            std::format("{} does not support extended attributes: the guest's files there keep their real owners", host.xchg));
    }
    std::vector<std::string> shared;
    if (!m.shared_dir.empty() && !xchg_served) shared.push_back(m.shared_dir);
    for (const auto &s : m.shared_directories)
        if (!s.read_only && s.security_model.empty() && s.proto != "virtiofs") shared.push_back(s.source);
    for (const auto &path : shared) {
        if (!keeps_attributes(path)) {
            host.without_attributes.insert(path);
            facts.notes.push_back(std::format(
                "{} does not support extended attributes: the guest's owners are stored in .virtfs_metadata (mapped-file)",
                path));
        }
        if (const std::string link = symlink_in(path); !link.empty())
            facts.notes.push_back(std::format(
                "the guest can't read the host's own symlinks in {}, such as {}; share it read-only, or with securityModel none",
                path, link));
    }
}

Result<> look_at_shares(HostFacts &facts, const Machine &m) {
    auto xchg = xchg_path(facts.run_directory, facts.run_as);
    if (!xchg) return std::unexpected(xchg.error());
    facts.xchg = std::move(*xchg);
    facts.shared = m.shared_dir.empty() ? facts.xchg : m.shared_dir;
    for (const auto &[what, path] : {std::pair{std::string("store"), m.store}, {"sharedDir", m.shared_dir}}) {
        std::error_code error;
        if (!path.empty() && !fs::is_directory(path, error))
            return fail(0, "share", path, std::format("{} is not a directory; name an existing one", what));
    }
    for (const auto &s : m.shared_directories) {
        std::error_code error;
        if (!fs::is_directory(s.source, error))
            return fail(0, "share", s.source, std::format("the source of {} is not a directory; name an existing one", s.tag));
    }
    return {};
}

Result<> look_at_boot_disk(LaunchFacts &facts, const Machine &m, bool pasted) {
    if (!m.use_boot_loader) return {};
    if (m.boot_disk.empty())
        return fail(0, "find boot disk", "", "useBootLoader needs bootDisk, the image that boots; name one with --boot-disk");
    // What is printed makes it first.
    const bool to_be_made = pasted && !m.toplevel.empty() && !exists(m.boot_disk);
    if (!to_be_made && ::access(m.boot_disk.c_str(), R_OK) < 0)
        return fail(errno, "open boot disk", m.boot_disk,
                    m.toplevel.empty() ? "name one with --boot-disk" : "make it with runvm boot-disk");
    if (to_be_made || is_made_boot_disk(m.boot_disk)) {
        facts.boot_label = boot_label_of(m);
        return {};
    }
    if (m.boot_disk_format == "qcow2")
        if (auto good =
                check_qcow2(m.boot_disk, m.backing_files, "pass --boot-disk-format raw, or name another with --boot-disk");
            !good)
            return good;
    if (!m.paths_in_nix_db.empty())
        facts.notes.emplace_back(
            "pathsInNixDB is not registered: it belongs in the initrd, but this boot disk, which runvm did not make, has its "
            "own");
    return {};
}

Result<> look_at_drives(const Machine &m) {
    for (const auto &drive : m.drives) {
        if (drive.format == "qcow2") {
            if (auto good = check_qcow2(drive.file, m.backing_files, "name another file"); !good) return good;
        } else if (::access(drive.file.c_str(), drive.read_only ? R_OK : R_OK | W_OK) < 0) {
            return fail(errno, "use image", drive.file, "name another file");
        }
    }
    return {};
}

// The initial EFI variables, if the machine has none of its own.
std::string first_variables(const Machine &m, const Firmware &firmware, bool pasted) {
    if (exists(m.efi_own_variables) && !m.ephemeral) return "";
    if (m.ephemeral && exists(m.efi_own_variables)) return m.efi_own_variables;
    // The firmware that wrote them had no keys.
    const std::string left = made_variables_of(m.boot_disk);
    const bool to_be_made = pasted && !m.toplevel.empty() && !exists(m.boot_disk);
    return m.use_boot_loader && m.keep_efi_variables && !m.use_secure_boot && (to_be_made || exists(left)) ? left
                                                                                                           : firmware.variables;
}

Result<> look_at_firmware(LaunchFacts &facts, const Machine &m, bool pasted) {
    if (!m.use_efi_boot) return {};
    if (!m.bios.empty()) return fail(0, "use EFI firmware", m.bios, "a bios is set as well; drop one of them");
    Firmware firmware{m.efi_firmware, m.efi_variables};
    if (firmware.code.empty() != firmware.variables.empty())
        return fail(0, "use EFI firmware", firmware.code + firmware.variables,
                    "firmware and variables belong together; pass both --efi-firmware and --efi-variables, or neither");
    if (firmware.code.empty()) {
        auto found = find_firmware(firmware_directories(facts.host.qemu), m.machine_type, m.use_secure_boot);
        if (!found) return std::unexpected(found.error());
        firmware = std::move(*found);
    }
    for (const auto &file : {firmware.code, firmware.variables})
        if (::access(file.c_str(), R_OK) < 0) return fail(errno, "use EFI firmware", file);
    facts.efi_template = first_variables(m, firmware, pasted);
    facts.host.efi_code = std::move(firmware.code);
    return {};
}

Result<> look_at_tpm(HostFacts &facts, const Machine &m) {
    if (!m.tpm) return {};
    if (auto program = find_swtpm(m); !program) return std::unexpected(program.error());
    facts.tpm_socket = facts.run_directory + "/tpm";
    return {};
}

// As in Nix: the variable names the host's certificates, because their place depends on the distribution.
Result<> look_at_certificates(LaunchFacts &facts, const Machine &m) {
    if (!m.use_host_certs) return {};
    const char *named = std::getenv("NIX_SSL_CERT_FILE");
    if (named == nullptr || *named == '\0')
        return fail(0, "give certificates", "",
                    "useHostCerts gives the guest the file that NIX_SSL_CERT_FILE names; set that variable");
    facts.host_certificates = fs::absolute(named);
    if (::access(named, R_OK) < 0) return fail(errno, "give certificates", named, "NIX_SSL_CERT_FILE names it");
    return {};
}

// QEMU reads them when it starts, and its message for a bad one says little.
Result<> look_at_credentials(const Machine &m) {
    constexpr off_t most_bytes = 1 << 20;  // systemd's limit (CREDENTIAL_SIZE_MAX)
    for (const auto &credential : m.credentials) {
        struct stat st{};
        if (::stat(credential.source.c_str(), &st) < 0 || ::access(credential.source.c_str(), R_OK) < 0)
            return fail(errno, "read credential", credential.source, std::format("it is the source of {}", credential.name));
        if (!S_ISREG(st.st_mode)) return fail(0, "read credential", credential.source, "it is not a file");
        if (st.st_size == 0 || st.st_size > most_bytes)
            return fail(0, "read credential", credential.source,
                        std::format("it has {} bytes; systemd accepts 1 to {}", st.st_size, most_bytes));
    }
    return {};
}

// Error: the machine's memory is larger than all of the host's. It would be killed or swap endlessly.
Result<> check_memory(const Machine &m) {
    struct sysinfo host{};
    if (::sysinfo(&host) < 0) return {};
    const uint64_t has_mib = (uint64_t{host.totalram} + host.totalswap) * host.mem_unit >> 20;
    if (static_cast<uint64_t>(m.memory_mib) <= has_mib) return {};
    return fail(0, "give memory", "",
                std::format("memorySize is {} MiB, but this host has only {} MiB; lower memorySize", m.memory_mib, has_mib));
}

Result<> look_at_vlans(const HostFacts &facts, const Machine &m) {
    constexpr int oldest_with_datagrams = 7;
    for (const int vlan : all_vlans(m)) {
        if (facts.qemu_major < oldest_with_datagrams)
            return fail(0, "join vlan", std::to_string(vlan),
                        std::format("QEMU {} has no datagram networks; use QEMU 7.2 or newer", facts.qemu_major));
        if (auto free = VlanPort::is_free(facts.runtime, vlan, m.node_number); !free) return free;
    }
    return {};
}

Result<> look_at_qemu(LaunchFacts &facts, const Machine &m) {
    auto qemu = find_qemu(m.qemu);
    if (!qemu) return std::unexpected(qemu.error());
    auto abilities = abilities_of(*qemu, facts.learned);
    if (!abilities) return std::unexpected(abilities.error());
    facts.host.qemu = std::move(*qemu);
    facts.host.qemu_version = abilities->version;
    facts.host.qemu_major = abilities->major;
    facts.host.sandbox = abilities->sandbox;
    facts.host.run_with_user = abilities->run_with_user;
    return {};
}

// Determines the user that QEMU becomes, and rejects what that user can't do: reach a socket in the private run directory.
Result<> look_at_user(LaunchFacts &facts, const Machine &m) {
    HostFacts &host = facts.host;
    host.root = ::geteuid() == 0;
    if (m.run_as.empty()) return {};
    constexpr std::string_view step = "run as";
    auto user = user_of(m.run_as);
    if (!user) return std::unexpected(user.error());
    if (user->uid == ::geteuid()) return {};
    if (!host.root) return fail(0, step, m.run_as, "only root can run QEMU as another user; drop --run-as");
    if (user->gid == 0) return fail(0, step, m.run_as, "this user's group is root's; name another group, as UID:GID");
    if (!all_vlans(m).empty())
        return fail(0, step, m.run_as,
                    "as this user, QEMU can't reach the vlan's switch in root's directory; drop --run-as or the vlans");
    if (std::ranges::any_of(m.forward_ports, [](const ForwardPort &p) { return p.from == "guest"; }))
        return fail(0, step, m.run_as,
                    "as this user, QEMU can't reach the relay in root's directory for connections from the guest; drop --run-as "
                    "or those ports");
    if (m.store_kind == "virtiofs")
        return fail(0, step, m.run_as,
                    "virtiofsd would still serve the guest as root; share the store with --store-kind 9p or erofs");
    host.root = false;
    host.run_as = *user;
    return {};
}

// The launcher may have access that this user lacks. The guest would only see that access is denied.
void look_at_rights(LaunchFacts &facts, const Machine &m) {
    if (!facts.host.run_as) return;
    const auto look = [&](const std::string &path, bool read_only) {
        if (!path.empty() && !may_use(*facts.host.run_as, path, !read_only))
            facts.notes.push_back(std::format("{} may not {} {}, so the guest can't either", m.run_as,
                                              read_only ? "read" : "read and write", path));
    };
    look(m.shared_dir, false);
    for (const auto &s : m.shared_directories) look(s.source, s.read_only);
}

}  // namespace

Result<LaunchFacts> look_at_host(const Machine &m, const PrepareOptions &options) {
    LaunchFacts facts;
    HostFacts &host = facts.host;
    host.runvm = fs::read_symlink("/proc/self/exe");
    host.run_directory = options.run_directory;
    host.runtime = fs::path(options.run_directory).parent_path();
    host.terminal = options.terminal;
    host.monitor = options.monitor;
    host.memory_file = options.memory_file;
    host.restored = options.restored;
    const auto ports = [&] { return options.pasted ? Result<>{} : check_ports(m.forward_ports); };
    for (const auto &look : std::initializer_list<std::function<Result<>()>>{
             [&] { return look_at_qemu(facts, m); }, [&] { return look_at_user(facts, m); }, [&] { return check_memory(m); },
             [&] { return look_at_drives(m); }, [&] { return look_at_credentials(m); }, ports,
             [&] { return look_at_vlans(host, m); }, [&] { return look_at_shares(host, m); },
             [&] { return look_at_boot_disk(facts, m, options.pasted); },
             [&] { return look_at_firmware(facts, m, options.pasted); }, [&] { return look_at_tpm(host, m); },
             [&] { return look_at_certificates(facts, m); }})
        if (auto seen = look(); !seen) return std::unexpected(seen.error());
    look_at_attributes(facts, m);
    look_at_rights(facts, m);
    auto root = options.restored ? saved_root_image(m) : look_at_root_image(m, options.fresh);
    if (!root) return std::unexpected(root.error());
    facts.root = std::move(*root);
    facts.root.promised = !options.pasted;
    if (auto seen = m.use_boot_loader ? look_at_boot_loader(facts, m, options) : look_at_boot(facts, m, options); !seen)
        return std::unexpected(seen.error());
    return facts;
}

}  // namespace hostside
