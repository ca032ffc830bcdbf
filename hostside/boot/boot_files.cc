#include "hostside/boot/boot_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <format>

#include "hostside/base/cache.h"
#include "hostside/base/exists.h"
#include "hostside/boot/debug_shell.h"
#include "hostside/boot/guest_fstab.h"
#include "hostside/boot/initrd.h"
#include "hostside/boot/kernel_command_line.h"
#include "hostside/boot/kernel_image.h"
#include "hostside/nix/closure.h"
#include "mounts/base/at.h"
#include "mounts/protocol.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;
namespace fs = std::filesystem;
namespace protocol = mounts::protocol;

bool says_fstab(const Machine &m) {
    return std::ranges::any_of(m.kernel_params, [](const std::string &word) { return word.starts_with("fstab="); });
}

bool may_share_over(const Machine &m, std::string_view kind) {
    const auto may = [&](const std::string &word) { return word == kind || word == "auto"; };
    return may(m.share_kind) || std::ranges::any_of(m.shared_directories, [&](const SharedDirectory &s) { return may(s.proto); });
}

}  // namespace

bool may_use_9p(const Machine &m) { return m.store_kind == "9p" || m.store_kind == "auto" || may_share_over(m, "9p"); }

bool may_use_virtiofs(const Machine &m) { return m.store_kind == "virtiofs" || may_share_over(m, "virtiofs"); }

std::string in_store(const std::string &store, std::string path) {
    const std::string prefix = std::string(protocol::store_dir) + "/";
    for (int depth = 0; depth < 16; ++depth) {
        if (path.starts_with(prefix)) path = store + "/" + path.substr(prefix.size());
        std::error_code error;
        const fs::path target = fs::read_symlink(path, error);
        if (error) break;
        path = target.is_absolute() ? target.string() : (fs::path(path).parent_path() / target).lexically_normal().string();
    }
    return path;
}

namespace {

// The toplevel as the guest sees it; empty: none. The description may name a link, such as nix-build's ./result.
Result<std::string> toplevel_in_guest(const Machine &m) {
    if (m.toplevel.empty() || m.toplevel.starts_with(protocol::store_dir)) return m.toplevel;
    auto path = nixdb::store_path(m.toplevel);
    if (!path)
        return fail(path.error().code, "open toplevel", m.toplevel,
                    "name a NixOS system in the store, or a link to one, with --toplevel");
    return std::move(*path);
}

std::string kernel_release_of(const std::string &kernel) {
    auto fd = base::open_at(AT_FDCWD, kernel, O_RDONLY | O_NONBLOCK);  // a FIFO is refused later
    if (!fd) return "";
    std::string head(65536, '\0');
    head.resize(static_cast<size_t>(std::max<ssize_t>(0, ::pread(fd->get(), head.data(), head.size(), 0))));
    return kernel_release(head);
}

// The modules in the initrd, and those of them that are loaded in any case.
void choose_modules(Boot &boot, const Machine &m) {
    boot.names = modules_for(m.disk_interface);
    if (may_use_9p(m)) boot.names.insert(boot.names.end(), {"9p", "9pnet_virtio"});
    if (m.store_kind == "erofs") boot.names.emplace_back("erofs");
    if (may_use_virtiofs(m)) boot.names.emplace_back("virtiofs");
    boot.names.insert(boot.names.end(), m.extra_modules.begin(), m.extra_modules.end());
    boot.load = m.extra_modules;
    // systemd in stage 2 looks for credentials when it starts.
    if (!m.credentials.empty()) {
        boot.names.emplace_back("qemu_fw_cfg");
        boot.load.emplace_back("qemu_fw_cfg");
    }
    if (m.use_boot_loader && m.use_efi_boot)  // the kernel chooses the character sets of the vfat on /boot
        boot.names.insert(boot.names.end(), {"vfat", "nls_cp437", "nls_ascii", "nls_iso8859-1"});
    boot.keep_tracing = m.module_tracing;
}

bool must_keep_signatures(const Boot &boot, const Machine &m) {
    // With Secure Boot a kernel locks itself down and loads only signed modules.
    if (m.use_secure_boot || signatures_enforced("", boot.command_line)) return true;
    const fs::path directory = fs::path(boot.kernel).parent_path();
    return std::ranges::any_of(std::array{directory / "config", directory / ("config-" + boot.release)},
                               [](const fs::path &config) {
                                   const auto text = base::read_file(config.string());
                                   return text && signatures_enforced(*text, "");
                               });
}

}  // namespace

Result<Boot> boot_of(const Machine &m) {
    Boot boot;
    auto system = toplevel_in_guest(m);
    if (!system) return std::unexpected(system.error());
    boot.system = std::move(*system);
    const std::string toplevel = boot.system.empty() ? "" : in_store(m.store, boot.system);
    if (!toplevel.empty() && !exists(toplevel))
        return fail(ENOENT, "open toplevel", toplevel, "name a system with --toplevel, and its store with --store");
    const auto of_system = [&](const char *name) {
        const std::string path = toplevel.empty() ? "" : in_store(m.store, toplevel + "/" + name);
        return exists(path) ? path : std::string();
    };
    boot.kernel = m.kernel.empty() ? of_system("kernel") : m.kernel;
    if (!boot.kernel.empty() && !exists(boot.kernel)) return fail(errno, "open kernel", boot.kernel, "name one with --kernel");
    boot.release = kernel_release_of(boot.kernel);
    boot.modules = m.modules.empty() ? of_system("kernel-modules") : m.modules;
    boot.init = !m.init.empty() || m.toplevel.empty() ? m.init : boot.system + "/init";
    const std::string params = of_system("kernel-params");
    Machine decided = m;
    if (m.fstab == "auto" && !toplevel.empty() && !says_fstab(m)) {
        // NixOS's etc is a link, and so is the fstab in it.
        const std::string table = in_store(m.store, in_store(m.store, toplevel + "/etc") + "/fstab");
        boot.left_out = absent_file_systems(base::read_file(table).value_or(""), m);
        if (!boot.left_out.empty()) decided.fstab = "no";
    }
    boot.command_line = kernel_command_line(decided, params.empty() ? "" : base::read_file(params).value_or(""), boot.init);
    boot.initrd = m.initrd;
    if (!boot.initrd.empty() && !exists(boot.initrd))
        return fail(errno, "open initrd", boot.initrd, "name one with --initrd, or drop --initrd to let runvm make it");
    boot.stage1 = m.stage1;
    if (boot.stage1.empty()) boot.stage1 = fs::read_symlink("/proc/self/exe").parent_path() / "stage1";
    choose_modules(boot, m);
    boot.keep_signatures = must_keep_signatures(boot, m);
    if (m.debug_shell.empty()) return boot;
    if (!boot.initrd.empty())
        return fail(0, "take debug shell", m.debug_shell,
                    "it goes into the initrd that runvm makes, but this machine has its own");
    auto shell = find_debug_shell(m.debug_shell);
    if (!shell) return std::unexpected(shell.error());
    boot.shell = std::move(*shell);
    return boot;
}

Result<std::string> made_initrd_path(const Boot &boot) {
    std::string key = file_identity("/proc/self/exe") + "\n" + file_identity(boot.stage1) + "\n" + boot.release;
    key += std::format("\nsignatures {} tracing {}", boot.keep_signatures, boot.keep_tracing);
    if (!boot.modules.empty()) {
        auto directory = modules_directory(boot.modules, boot.release);
        if (!directory) return std::unexpected(directory.error());
        key += file_identity(*directory + "/modules.dep");
    }
    if (!boot.shell.empty()) key += "\nshell " + file_identity(boot.shell);
    for (const auto &name : boot.names) key += "\n" + name;
    for (const auto &name : boot.load) key += "\nload " + name;
    return cache_path("made-initrd-" + short_hash(key));
}

Result<std::string> initrd_of(const Boot &boot) {
    auto path = made_initrd_path(boot);
    if (!path) return std::unexpected(path.error());
    if (auto known = cached(*path)) return std::move(*known);
    return build_initrd(
        {boot.stage1, boot.modules, boot.release, boot.names, boot.load, boot.keep_signatures, boot.keep_tracing, boot.shell});
}

}  // namespace hostside
