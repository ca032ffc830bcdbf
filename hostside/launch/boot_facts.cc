#include "hostside/launch/boot_facts.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <format>

#include "hostside/base/cache.h"
#include "hostside/base/exists.h"
#include "hostside/boot/boot_files.h"
#include "hostside/boot/initrd.h"
#include "hostside/boot/kernel_command_line.h"
#include "hostside/boot/kernel_image.h"
#include "hostside/launch/foresight.h"
#include "hostside/launch/kernel_check.h"
#include "hostside/nix/closure.h"
#include "hostside/qemu/accelerator.h"
#include "mounts/base/at.h"
#include "mounts/protocol.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;
namespace fs = std::filesystem;

// Returns the kernel unchanged if it has no direct entry for QEMU or no place in the cache.
BootFile uncompressed(const std::string &kernel, bool may_make) {
    const std::string path = cache_path("vmlinux-" + short_hash(file_identity(kernel)));
    if (path.empty()) return {kernel, ""};
    if (exists(path)) return {.path = path, .bytes = "", .cached = true};
    auto image = may_make ? base::read_file(kernel) : base::Result<std::string>(fail(ENOENT, "read", kernel));
    auto elf = image ? uncompressed_kernel(*image, kernel) : image;
    return elf ? BootFile{path, std::move(*elf)} : BootFile{kernel, ""};
}

// Whether SeaBIOS's tables are larger than the room that QEMU leaves above the initrd: with a TPM, whose log is one of them, or
// with tables of the user's own.
bool has_large_tables(const Machine &m) {
    constexpr size_t room_bytes = 8192;  // the ACPI of a guest was damaged by about 30 KB
    size_t bytes = 0;
    for (size_t i = 0; i + 1 < m.qemu_options.size(); ++i) {
        const std::string &word = m.qemu_options[i], &value = m.qemu_options[i + 1];
        if (!word.ends_with("-smbios") && !word.ends_with("-acpitable")) continue;
        bytes += value.size();
        for (const std::string_view key : {"path=", "file=", "data="}) {
            const size_t at = value.find(key);
            std::error_code error;
            const auto file = at == std::string::npos ? "" : value.substr(at + key.size());
            const auto size = fs::file_size(file.substr(0, file.find(',')), error);
            if (!error) bytes += size;
        }
    }
    return m.tpm || bytes > room_bytes;
}

// With large tables, the initrd is copied over them, and the guest has no ACPI and no TPM. So this lowers the highest initrd
// address in the kernel's header.
Result<BootFile> with_lower_initrd(const std::string &kernel, const Machine &m, const std::string &run_directory, bool may_make) {
    constexpr int room_mib = 16, low_mib = 2048;
    const auto limit = static_cast<uint32_t>(std::min(m.memory_mib, low_mib) - room_mib) << 20;
    std::string path = cache_path(std::format("bzimage-{}-{}", short_hash(file_identity(kernel)), limit));
    if (exists(path)) return BootFile{.path = path, .bytes = "", .cached = true};
    if (!may_make)
        return fail(0, "print", kernel,
                    "with a TPM or large tables, runvm boots a modified copy of this kernel, which is not in the cache yet; run "
                    "the machine "
                    "once, or print with --use-efi-boot");
    auto image = base::read_file(kernel);
    if (!image) return std::unexpected(image.error());
    auto lower = initrd_below(std::move(*image), kernel, limit);
    if (!lower) return std::unexpected(lower.error());
    return BootFile{path.empty() ? run_directory + "/kernel" : path, std::move(*lower)};
}

// /nix/store and /nix/var are siblings, wherever they are.
std::string database_of(const Machine &m) { return m.store.substr(0, m.store.rfind('/')) + "/var/nix/db/db.sqlite"; }

// The registration of the system and of pathsInNixDB, from the store's own database. Empty: regInfo or the system's own initrd
// has it. A failure for paths that nobody asked for does not prevent the boot.
Result<std::string> registration(LaunchFacts &facts, const Machine &m, const Boot &boot) {
    if (!m.reginfo.empty()) return std::string();
    std::vector<std::string> roots;
    if (!boot.system.empty()) roots.push_back(boot.system);
    if (m.paths_in_nix_db.empty()) {
        if (roots.empty() || !m.initrd.empty()) return std::string();
        auto text = registration_of(m, roots);
        if (!text)
            facts.notes.push_back(
                "Nix in the guest will not know the system's closure, because there is no registration (regInfo): " +
                base::message(text.error()));
        return text.value_or("");
    }
    roots.insert(roots.end(), m.paths_in_nix_db.begin(), m.paths_in_nix_db.end());
    return registration_of(m, roots);
}

Result<> look_at_accelerator(LaunchFacts &facts, const Machine &m, const std::string &kernel, const PrepareOptions &options) {
    auto accelerator = choose_accelerator(m.accelerator, facts.host.qemu, kernel, options.progress, facts.learned);
    if (!accelerator) return std::unexpected(accelerator.error());
    facts.host.kvm = accelerator->kvm;
    if (!accelerator->kvm && m.accelerator == "auto")
        facts.notes.push_back("using emulation (TCG), which is much slower than KVM: " + accelerator->reason);
    return {};
}

Result<> look_at_kernel(LaunchFacts &facts, const Machine &m, const PrepareOptions &options) {
    const std::string &kernel = facts.boot.boot.kernel;
    if (auto done = look_at_accelerator(facts, m, kernel, options); !done) return done;
    // Firmware of the user's own starts what a boot loader would start. OVMF can't start ELF files.
    const bool own_firmware =
        m.use_efi_boot || !m.bios.empty() || std::ranges::any_of(m.qemu_options, [](const std::string &word) {
            return word.contains("if=pflash") || word == "-bios" || word == "-pflash";
        });
    if (has_large_tables(m) && !own_firmware) {
        auto lower = with_lower_initrd(kernel, m, facts.host.run_directory, !options.pasted);
        if (!lower) return std::unexpected(lower.error());
        facts.boot.kernel = std::move(*lower);
        return {};
    }
    facts.boot.kernel = facts.host.kvm || own_firmware ? BootFile{kernel, ""} : uncompressed(kernel, !options.pasted);
    return {};
}

// The initrd from the description, the cache's, or a new one as bytes.
Result<BootFile> initrd_file(const Boot &boot, const PrepareOptions &options) {
    if (!boot.initrd.empty()) return BootFile{boot.initrd, "", file_identity(boot.initrd)};
    auto path = made_initrd_path(boot);
    if (!path) return std::unexpected(path.error());
    if (exists(*path)) return BootFile{*path, "", *path, true};
    options.progress("making the initrd");
    auto bytes = initrd_of(boot);
    if (!bytes) return std::unexpected(bytes.error());
    return BootFile{options.pasted ? "" : *path, std::move(*bytes), *path};
}

}  // namespace

Result<> look_at_boot_loader(LaunchFacts &facts, const Machine &m, const PrepareOptions &options) {
    const std::string kernel = !m.kernel.empty() || m.toplevel.empty() ? m.kernel : in_store(m.store, m.toplevel + "/kernel");
    if (!kernel.empty() && exists(kernel)) return look_at_accelerator(facts, m, kernel, options);
    // KVM can't be tested without a kernel.
    if (m.accelerator != "auto") return look_at_accelerator(facts, m, "", options);
    facts.notes.emplace_back(
        "using emulation (TCG), which is much slower than KVM: testing KVM needs the system's kernel, and no toplevel names it; "
        "--accel kvm uses KVM untested");
    return {};
}

Result<> look_at_initrd(LaunchFacts &facts, const Machine &m, const PrepareOptions &options) {
    auto boot = boot_of(m);
    if (!boot) return std::unexpected(boot.error());
    if (boot->kernel.empty())
        return fail(0, "find kernel", m.toplevel,
                    "pass a NixOS system (it has a file 'kernel') with --toplevel, or --kernel FILE");
    if (boot->init.empty() && m.initrd.empty())
        return fail(0, "find init", "", "nothing says what the guest runs; pass --toplevel or --init PATH");
    if (auto foreseen = foresee(m, *boot); !foreseen) return foreseen;
    // The needs of a foreign initrd are unknown.
    if (auto able = m.initrd.empty() ? check_kernel_config(facts, m, boot->kernel) : Result<>{}; !able) return able;
    if (!boot->left_out.empty()) {
        std::string list;
        for (const auto &one : boot->left_out) list += (list.empty() ? "" : ", ") + one;
        facts.notes.push_back(
            std::format("the system was made for another machine: its fstab names file systems that this machine lacks: {}; "
                        "stage 2 ignores the fstab (fstab=no); --fstab yes mounts them",
                        list));
    }
    auto registered = registration(facts, m, *boot);
    if (!registered) return std::unexpected(registered.error());
    auto initrd = initrd_file(*boot, options);
    if (!initrd) return std::unexpected(initrd.error());
    facts.boot.boot = std::move(*boot);
    facts.boot.initrd = std::move(*initrd);
    facts.boot.registration = std::move(*registered);
    facts.boot.cache = !options.pasted && !cache_path("").empty();
    return {};
}

Result<> look_at_boot(LaunchFacts &facts, const Machine &m, const PrepareOptions &options) {
    if (auto done = look_at_initrd(facts, m, options); !done) return done;
    return look_at_kernel(facts, m, options);
}

Result<std::string> registration_of(const Machine &m, const std::vector<std::string> &paths) {
    std::vector<std::string> roots;
    for (const auto &path : paths) {
        auto root = nixdb::store_path(path);
        if (!root) return std::unexpected(root.error());
        roots.push_back(std::move(*root));
    }
    auto infos = nixdb::closure(database_of(m), roots);
    if (!infos) return std::unexpected(infos.error());
    std::string text;
    for (const auto &info : *infos) print(text, info, mounts::RegistrationFormat::dump_db);
    return text;
}

}  // namespace hostside
