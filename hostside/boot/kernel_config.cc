#include "hostside/boot/kernel_config.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <format>
#include <set>

#include "hostside/boot/kernel_image.h"
#include "mounts/base/at.h"
#include "mounts/kernel/decompress.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;

constexpr std::string_view step = "read kernel configuration";

struct Need {
    std::string_view option, without;
    bool module = true;  // a module is enough
    bool fatal = true;
};

constexpr std::string_view no_9p =
    "nothing can be shared over 9p, the default; use --share-kind virtiofs, and --store-kind erofs or virtiofs";

constexpr std::array<Need, 36> needs{{
    {"BLK_DEV_INITRD", "no initrd: stage 1 never runs", false},
    {"RD_GZIP", "no gzip-compressed initrd", false, false},
    {"BINFMT_ELF", "no program can run", false},
    {"BINFMT_SCRIPT", "stage 2, a script, can't be executed"},
    {"MODULES", "no modules: everything must be built in", false, false},
    {"DEVTMPFS", "no device nodes", false},
    {"PROC_FS", "stage 1 can't read its parameters", false},
    {"SYSFS", "stage 1 can't find devices", false},
    {"TMPFS", "no /run, and no union or root in memory", false},
    {"UNIX", "no Unix sockets"},
    {"PCI", "no virtio device", false},
    {"VIRTIO_PCI", "no virtio device"},
    {"BLK_DEV", "no disk", false},
    {"VIRTIO_BLK", "no root disk with qemu.diskInterface virtio"},
    {"EXT4_FS", "no root disk"},
    {"NETWORK_FILESYSTEMS", no_9p, false},
    {"NET_9P", no_9p},
    {"NET_9P_VIRTIO", no_9p},
    {"9P_FS", no_9p},
    {"VIRTIO_FS", "no virtiofs (--share-kind virtiofs, --store-kind virtiofs)", true, false},
    {"EROFS_FS", "no store image (--store-kind erofs)", true, false},
    {"OVERLAY_FS", "the union is unionfs, which needs FUSE_FS", true, false},
    {"FUSE_FS", "no unionfs, for stage1.union.engine=fuse or kernels without OVERLAY_FS", true, false},
    {"NET", "no network and no share", false},
    {"INET", "no network", false, false},
    {"NETDEVICES", "no network", false, false},
    {"NET_CORE", "no network", false, false},
    {"VIRTIO_NET", "no network", true, false},
    {"SERIAL_8250", "no console on the terminal", false, false},
    {"SERIAL_8250_CONSOLE", "the kernel prints nothing on the terminal (console=ttyS0)", false, false},
    {"VIRTIO_CONSOLE", "no status port: no exit status, no ready, no reason for a failure", true, false},
    {"HW_RANDOM_VIRTIO", "no random numbers from the host (rng)", true, false},
    {"SCSI_VIRTIO", "no disk with qemu.diskInterface scsi", true, false},
    {"VIRTIO_BALLOON", "no balloon", true, false},
    {"VIRTIO_VSOCKETS", "no vsock (vsockCid)", true, false},
    {"PVPANIC", "only the console shows a panic", true, false},
}};

Result<std::string> head_of(const std::string &path, size_t bytes) {
    auto file = base::open_at(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (!file) return fail(file.error().code, step, path);
    std::string head(bytes, '\0');
    const ssize_t n = ::pread(file->get(), head.data(), head.size(), 0);
    if (n < 0) return fail(errno, step, path);
    head.resize(static_cast<size_t>(n));
    return head;
}

// The configuration that CONFIG_IKCONFIG stores in the kernel, between two marks (Linux, kernel/configs.c). Empty: none.
std::string carried(std::string_view kernel, const std::string &path) {
    constexpr std::string_view begin = "IKCFG_ST", end = "IKCFG_ED";
    for (size_t at = kernel.find(begin); at != std::string_view::npos; at = kernel.find(begin, at + 1)) {
        const std::string_view packed = kernel.substr(at + begin.size());
        const size_t length = packed.find(end);
        if (length == std::string_view::npos) return {};
        if (auto text = mounts::decompress(packed.substr(0, length), path)) return std::move(*text);
    }
    return {};
}

// Doesn't wait for whoever writes to a FIFO.
Result<std::string> regular_file(const std::string &path) {
    constexpr size_t limit_bytes = size_t{16} << 20;
    const auto file = base::open_at(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    struct stat st{};
    if (!file || ::fstat(file->get(), &st) < 0 || !S_ISREG(st.st_mode)) return fail(0, step, path, "it is not a file");
    return base::read_all(file->get(), path, limit_bytes);
}

Result<std::string> of_kernel(const std::string &image, const std::string &path) {
    std::string text;
    if (image.starts_with(ELFMAG)) {
        text = carried(image, path);
    } else if (auto elf = kernel_payload(image, path)) {
        text = carried(*elf, path);
    }
    if (!text.empty()) return text;
    const std::filesystem::path directory = std::filesystem::path(path).parent_path();
    const std::string release = kernel_release(image);
    for (const std::string &beside : {(directory / "config").string(), (directory / ("config-" + release)).string()})
        if (auto found = regular_file(beside)) return found;
    return fail(0, step, path,
                std::format("it doesn't contain its configuration (CONFIG_IKCONFIG), and there is no config or config-{} beside "
                            "it; name the configuration itself",
                            release.empty() ? "RELEASE" : release));
}

}  // namespace

Result<std::string> kernel_config(const std::string &path) {
    auto head = head_of(path, 4096);
    if (!head) return head;
    auto whole = base::read_file(path, mounts::module_limit_bytes);
    if (!whole) return whole;
    if (head->starts_with(ELFMAG) || !kernel_release(whole->substr(0, 65536)).empty()) return of_kernel(*whole, path);
    if (!head->contains("CONFIG_")) {
        auto unpacked = mounts::decompress(*whole, path);
        if (unpacked && unpacked->contains("CONFIG_")) return unpacked;
        return fail(0, step, path, "it is neither an x86 kernel nor a kernel's configuration, plain or compressed");
    }
    return whole;
}

std::vector<Lack> lacks(std::string_view config) {
    std::set<std::string_view> yes, module;
    while (!config.empty()) {
        const size_t end = config.find('\n');
        const std::string_view line = config.substr(0, end);
        if (line.ends_with("=y")) yes.insert(line.substr(0, line.size() - 2));
        if (line.ends_with("=m")) module.insert(line.substr(0, line.size() - 2));
        config.remove_prefix(end == std::string_view::npos ? config.size() : end + 1);
    }
    std::vector<Lack> result;
    for (const auto &need : needs) {
        const std::string option = "CONFIG_" + std::string(need.option);
        if (yes.contains(option) || (need.module && module.contains(option))) continue;
        const bool only_built_in = module.contains(option);
        result.push_back(
            {option, std::string(need.without) + (only_built_in ? "; as a module, it loads too late" : ""), need.fatal});
    }
    // Virtiofs can replace 9p.
    if (std::ranges::none_of(result, [](const Lack &lack) { return lack.option == "CONFIG_VIRTIO_FS"; }))
        for (auto &lack : result) lack.fatal = lack.fatal && !is_for_9p(lack.option);
    return result;
}

size_t needed_options() { return needs.size(); }

bool is_for_9p(std::string_view option) {
    return std::ranges::any_of(
        needs, [&](const Need &need) { return need.without == no_9p && option == "CONFIG_" + std::string(need.option); });
}

}  // namespace hostside
