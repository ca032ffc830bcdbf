#include "hostside/launch/prepare_boot.h"

#include <unistd.h>

#include <cerrno>
#include <format>

#include "hostside/base/cache.h"
#include "hostside/boot/boot_files.h"
#include "hostside/boot/initrd.h"
#include "hostside/boot/kernel_command_line.h"
#include "hostside/boot/kernel_image.h"
#include "hostside/nix/closure.h"
#include "hostside/qemu/accelerator.h"
#include "mounts/base/at.h"
#include "mounts/protocol.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;
namespace protocol = mounts::protocol;

bool exists(const std::string &path) { return ::access(path.c_str(), F_OK) == 0; }

Result<std::string> uncompressed(const std::string &kernel) {
    const std::string path = cache_path("vmlinux-" + short_hash(file_identity(kernel)));
    if (path.empty()) return fail(ENOENT, "cache", kernel);
    if (exists(path)) return path;
    auto image = base::read_file(kernel);
    if (!image) return std::unexpected(image.error());
    auto elf = uncompressed_kernel(*image, kernel);
    if (!elf) return elf;
    if (auto wrote = base::replace_file(path, *elf); !wrote) return std::unexpected(wrote.error());
    return path;
}

// /nix/store and /nix/var are siblings, wherever they lie.
std::string database_of(const Machine &m) { return m.store.substr(0, m.store.rfind('/')) + "/var/nix/db/db.sqlite"; }

Result<std::string> registration_of(const Machine &m, const std::vector<std::string> &roots) {
    auto infos = nixdb::closure(database_of(m), roots);
    if (!infos) return std::unexpected(infos.error());
    std::string text;
    for (const auto &info : *infos) print(text, info, mounts::RegistrationFormat::dump_db);
    return text;
}

// The registration of the system and pathsInNixDB, from the database that belongs to the store. Empty: regInfo says it, or an
// initrd of the system's own. What nobody asked for is no reason not to boot.
Result<std::string> registration(Prepared &prepared, const Machine &m, const Boot &boot) {
    if (!m.reginfo.empty()) return std::string();
    std::vector<std::string> roots;
    if (!boot.system.empty()) roots.push_back(boot.system);
    if (m.paths_in_nix_db.empty()) {
        if (roots.empty() || !m.initrd.empty()) return std::string();
        auto text = registration_of(m, roots);
        if (!text)
            prepared.notes.push_back(
                "Nix in the guest will not know the system's closure, for it has no registration (regInfo): " +
                base::message(text.error()));
        return text.value_or("");
    }
    for (const auto &path : m.paths_in_nix_db) {
        auto root = nixdb::store_path(path);
        if (!root) return std::unexpected(root.error());
        roots.push_back(std::move(*root));
    }
    return registration_of(m, roots);
}

Result<> choose_kernel(Prepared &prepared, const Machine &m, const Boot &boot, const PrepareOptions &options) {
    HostFacts &facts = prepared.facts;
    auto accelerator = choose_accelerator(m.accelerator, facts.qemu, boot.kernel, options.progress);
    if (!accelerator) return std::unexpected(accelerator.error());
    facts.kvm = accelerator->kvm;
    if (!accelerator->kvm && m.accelerator == "auto")
        prepared.notes.push_back("emulation (TCG), much slower than KVM: " + accelerator->reason);
    // A kernel without that way in boots as it is.
    facts.kernel = facts.kvm ? boot.kernel : uncompressed(boot.kernel).value_or(boot.kernel);
    return {};
}

// A file with `boot`'s initrd and the archives behind it, which QEMU reads as one.
Result<std::string> initrd_file(const Boot &boot, const std::string &archives, const PrepareOptions &options) {
    if (!boot.initrd.empty() && archives.empty()) return boot.initrd;
    if (boot.initrd.empty() && archives.empty())
        if (auto path = made_initrd_path(boot); path && exists(*path)) return std::move(*path);
    Initrd initrd;
    if (boot.initrd.empty()) {
        options.progress("making the initrd");
        auto made = initrd_of(boot);
        if (!made) return std::unexpected(made.error());
        initrd = std::move(*made);
    } else {
        auto bytes = base::read_file(boot.initrd);
        if (!bytes) return std::unexpected(bytes.error());
        initrd.bytes = std::move(*bytes);
    }
    if (!initrd.path.empty() && archives.empty()) return initrd.path;
    constexpr size_t alignment = 4;  // of an archive behind another (Linux, init/initramfs.c)
    initrd.bytes.resize((initrd.bytes.size() + alignment - 1) / alignment * alignment, '\0');
    initrd.bytes += archives;
    std::string file = cache_path("initrd-" + short_hash(initrd.bytes));
    if (file.empty()) file = options.run_folder + "/initrd";
    if (exists(file)) return file;
    if (auto wrote = base::replace_file(file, initrd.bytes); !wrote) return std::unexpected(wrote.error());
    return file;
}

}  // namespace

Result<> prepare_boot(Prepared &prepared, const Machine &m, const PrepareOptions &options) {
    HostFacts &facts = prepared.facts;
    auto boot = boot_of(m);
    if (!boot) return std::unexpected(boot.error());
    if (boot->kernel.empty())
        return fail(0, "find kernel", m.toplevel, "give --toplevel a NixOS system (it has a file 'kernel'), or --kernel FILE");
    if (boot->init.empty() && m.initrd.empty())
        return fail(0, "find init", "", "nothing says what the guest runs: give --toplevel, or --init PATH");
    if (!boot->left_out.empty()) {
        std::string list;
        for (const auto &one : boot->left_out) list += (list.empty() ? "" : ", ") + one;
        prepared.notes.push_back(
            std::format("the system is made for another machine, its fstab has what this machine has not: {}; stage 2 leaves "
                        "that table alone "
                        "(fstab=no), --fstab yes has it mounted",
                        list));
    }
    // QEMU ends with the guest's first reboot, so that this is still so when stage 1 reads it.
    if (facts.root_image_empty && !m.allow_reboot)
        boot->command_line += std::format(" {}={}", protocol::fresh_disk_parameter, protocol::root_disk_serial);
    auto parts = command_line_parts(boot->command_line);
    if (!parts) return std::unexpected(parts.error());
    facts.command_line = parts->line;
    auto registered = registration(prepared, m, *boot);
    if (!registered) return std::unexpected(registered.error());
    if (auto chosen = choose_kernel(prepared, m, *boot, options); !chosen) return chosen;
    std::string archives;
    if (!parts->parameters.empty()) archives += archive_of(protocol::parameters_file, parts->parameters + "\n");
    if (!registered->empty()) archives += archive_of(protocol::reginfo_file, *registered);
    auto initrd = initrd_file(*boot, archives, options);
    if (!initrd) return std::unexpected(initrd.error());
    facts.initrd = std::move(*initrd);
    return {};
}

}  // namespace hostside
