#include "hostside/boot/initrd.h"

#include <algorithm>
#include <filesystem>
#include <format>
#include <ranges>
#include <set>

#include "hostside/boot/cpio.h"
#include "hostside/boot/module_image.h"
#include "mounts/base/at.h"
#include "mounts/boot/command_line.h"
#include "mounts/kernel/decompress.h"
#include "mounts/kernel/module_index.h"
#include "mounts/protocol.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;
namespace protocol = mounts::protocol;

std::string text_of(const std::string &path) { return base::read_file(path).value_or(std::string{}); }

// The lines of modules.dep, modules.alias or modules.softdep about `wanted` modules; `module_of` returns a line's module.
std::string trimmed(std::string_view text, const std::set<std::string> &wanted, auto &&module_of) {
    std::string result;
    for (auto part : std::views::split(text, '\n')) {
        const std::string_view line(part);
        if (line.empty() || line.front() == '#' || !wanted.contains(module_of(line))) continue;
        result.append(line) += '\n';
    }
    return result;
}

std::string_view word_at(std::string_view line, size_t index) {
    for (; index > 0; --index) {
        const size_t blank = line.find(' ');
        if (blank == std::string_view::npos) return {};
        line.remove_prefix(blank + 1);
    }
    return line.substr(0, line.find(' '));
}

// Changes file names such as `kernel/fs/ext4/ext4.ko.xz` to the initrd's names, because modules are decompressed there.
std::string decompressed_names(std::string dep) {
    for (const std::string_view suffix : {".ko.xz", ".ko.zst", ".ko.gz"})
        for (size_t at = dep.find(suffix); at != std::string::npos; at = dep.find(suffix, at))
            dep.erase(at + 3, suffix.size() - 3);
    return dep;
}

// A signature covers every byte, so a signed module must stay unchanged.
std::string prepared(std::string image, const InitrdSpec &spec) {
    if (spec.keep_signatures) return image;
    image.resize(without_signature(image).size());
    return spec.keep_tracing ? image : without_tracing(std::move(image));
}

// What to do if the kernel lacks a module that the machine needs.
std::string remedy(std::string_view module) {
    if (module.starts_with("9p"))
        return "use a kernel that has it, or share nothing over 9p: --share-kind virtiofs, and --store-kind erofs or virtiofs "
               "(Debian's 'cloud' flavour has these)";
    if (module == "erofs") return "use a kernel that has it, or share the store over 9p (--store-kind 9p)";
    if (module == "virtiofs") return "use a kernel that has it, or share over 9p (--store-kind 9p, --share-kind 9p)";
    for (const std::string_view disk : {"virtio_blk", "virtio_scsi", "sd_mod", "ata_piix", "ahci"})
        if (module == disk) return "use a kernel that has it, or another disk interface (--disk-interface)";
    return "use a kernel that has it, or drop it from the machine's description";
}

Result<> add_modules(Cpio &cpio, const InitrdSpec &spec) {
    auto directory = modules_directory(spec.modules, spec.release);
    if (!directory) return std::unexpected(directory.error());
    const std::string release = spec.release.empty() ? std::filesystem::path(*directory).filename().string() : spec.release;
    const mounts::ModuleTexts texts{text_of(*directory + "/modules.dep"), text_of(*directory + "/modules.alias"),
                                    text_of(*directory + "/modules.softdep"), text_of(*directory + "/modules.builtin")};
    const auto plan = mounts::ModuleIndex(texts).plan(spec.names);
    if (!plan.missing.empty())
        return fail(0, "find module", plan.missing.front(),
                    std::format("kernel {} has it neither as a module in {} nor built in; {}", release, *directory,
                                remedy(plan.missing.front())));
    std::set<std::string> names;
    std::vector<std::string> paths;
    for (const auto &step : plan.steps) {
        names.insert(mounts::module_name(step.path));
        paths.push_back(step.path);
    }
    std::ranges::sort(paths);
    const std::string target = "lib/modules/" + release;
    cpio.directory(target);
    for (const auto &path : paths) {
        const std::string source = *directory + "/" + path;
        auto fd = base::open_at(AT_FDCWD, source, O_RDONLY);
        if (!fd) return std::unexpected(fd.error());
        const bool packed = !path.ends_with(".ko");
        auto image =
            packed ? mounts::decompress_module(fd->get(), source) : base::read_all(fd->get(), source, mounts::module_limit_bytes);
        if (!image) return std::unexpected(image.error());
        cpio.file(target + "/" + decompressed_names(path), prepared(std::move(*image), spec));
    }
    const auto by_path = [](std::string_view line) { return mounts::module_name(line.substr(0, line.find(':'))); };
    const auto second = [](std::string_view line) { return mounts::module_name(word_at(line, 1)); };
    const auto third = [](std::string_view line) { return mounts::module_name(word_at(line, 2)); };
    cpio.file(target + "/modules.dep", decompressed_names(trimmed(texts.dep, names, by_path)));
    cpio.file(target + "/modules.alias", trimmed(texts.alias, names, third));
    cpio.file(target + "/modules.softdep", trimmed(texts.softdep, names, second));
    cpio.file(target + "/modules.builtin", texts.builtin);
    return {};
}

// Fixed names, so that busybox need not run here to list them. A missing applet says so itself. modprobe is stage1.
constexpr std::string_view applets =
    "ash awk basename blkid cat chmod chown chroot clear cmp cp cut date dd df diff dirname dmesg du echo env expr false fdisk "
    "find "
    "free grep gunzip gzip head hexdump hostname id ifconfig ip kill killall less ln losetup ls lsmod md5sum mkdir mkfifo mknod "
    "more mount mountpoint mv nc netstat od pidof ping poweroff printf ps pwd readlink realpath reboot reset rm rmdir route sed "
    "seq "
    "sh sha256sum sleep sort stat strings stty sync sysctl tail tar tee test time top touch tr true tty umount uname uniq uptime "
    "vi wc wget which xargs xxd yes zcat";

Result<> add_shell(Cpio &cpio, const std::string &busybox) {
    auto program = base::read_file(busybox);
    if (!program) return std::unexpected(program.error());
    cpio.file("bin/busybox", *program, 0755);
    for (const auto name : std::views::split(applets, ' '))
        cpio.symlink(std::format("bin/{}", std::string_view(name)), "busybox");
    return {};
}

}  // namespace

std::vector<std::string> modules_for(std::string_view disk_interface) {
    std::vector<std::string> names{"virtio_pci", "virtio_console", "ext4", "overlay", "fuse"};
    if (disk_interface == "scsi")
        names.insert(names.end(), {"virtio_scsi", "sd_mod"});
    else if (disk_interface == "ide")
        names.insert(names.end(), {"ata_piix", "ahci", "sd_mod"});
    else
        names.emplace_back("virtio_blk");
    return names;
}

Result<std::string> modules_directory(const std::string &modules, const std::string &release) {
    namespace fs = std::filesystem;
    std::error_code error;
    if (fs::exists(modules + "/modules.dep", error)) return modules;
    const std::string parent = modules + "/lib/modules";
    std::string found;
    size_t count = 0;
    for (const auto &entry : fs::directory_iterator(parent, error)) {
        const std::string name = entry.path().filename();
        if (!fs::exists(entry.path() / "modules.dep", error)) continue;
        if (name == release) return entry.path().string();
        found += (found.empty() ? "" : ", ") + name;
        ++count;
    }
    if (count == 1 && release.empty()) return parent + "/" + found;
    if (count == 0)
        return fail(0, "find modules", modules,
                    "there is no modules.dep in it or in its lib/modules/RELEASE; run depmod, or see --modules");
    return fail(0, "find modules", modules,
                std::format("it has modules for {}, but not for {}", found, release.empty() ? "a single kernel" : release));
}

bool signatures_enforced(std::string_view kernel_config, std::string_view command_line) {
    if (kernel_config.find("\nCONFIG_MODULE_SIG_FORCE=y\n") != std::string_view::npos) return true;
    return std::ranges::any_of(mounts::parse_command_line(command_line), [](const mounts::Parameter &p) {
        return p.name == "module.sig_enforce" || (p.name == "lockdown" && p.value && *p.value != "none");
    });
}

std::string archive_of(std::string_view path, std::string_view text) {
    Cpio cpio;
    cpio.file(path.substr(1), text);
    return std::move(cpio).finish();
}

std::string with_archives(std::string initrd, std::string_view archives) {
    constexpr size_t alignment = 4;  // for appended archives (Linux, init/initramfs.c)
    if (!archives.empty()) initrd.resize((initrd.size() + alignment - 1) / alignment * alignment, '\0');
    return initrd.append(archives);
}

Result<std::string> build_initrd(const InitrdSpec &spec) {
    auto stage1 = base::read_file(spec.stage1);
    if (!stage1) {
        stage1.error().hint = "the initrd needs the stage1 program; build it, or name it with --stage1";
        return std::unexpected(stage1.error());
    }
    Cpio cpio;
    for (const char *directory : {"dev", "proc", "sys", "run", "etc/stage1", "mnt-root", "sbin"}) cpio.directory(directory);
    cpio.character_device("dev/console", 5, 1, 0600);
    cpio.file("init", *stage1, 0755);
    cpio.symlink("sbin/modprobe", "../init");
    if (!spec.shell.empty())
        if (auto done = add_shell(cpio, spec.shell); !done) return std::unexpected(done.error());
    if (!spec.load.empty()) {
        std::string lines;
        for (const auto &name : spec.load) lines += name + "\n";
        cpio.file(protocol::modules_file.substr(1), lines);
    }
    if (!spec.modules.empty())
        if (auto done = add_modules(cpio, spec); !done) return std::unexpected(done.error());
    return std::move(cpio).finish();
}

}  // namespace hostside
