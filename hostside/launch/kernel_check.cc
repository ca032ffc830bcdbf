#include "hostside/launch/kernel_check.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <format>

#include "hostside/base/cache.h"
#include "hostside/boot/boot_files.h"

namespace hostside {

namespace {

using base::Result;

enum class Weight { nothing, note, fatal };

bool has_disks(const Machine &m) {
    return !m.disk_image.empty() || !m.drives.empty() || !m.empty_disks_mib.empty() || m.store_kind == "erofs";
}

bool is_one_of(std::string_view option, std::initializer_list<std::string_view> all) {
    return std::ranges::contains(all, option);
}

Weight weight_of(std::string_view option, const Machine &m, bool no_union) {
    const bool for_9p = is_for_9p(option);
    option.remove_prefix(std::string_view("CONFIG_").size());
    const auto fatal_if = [](bool needed) { return needed ? Weight::fatal : Weight::nothing; };
    const auto note_if = [](bool wanted) { return wanted ? Weight::note : Weight::nothing; };
    if (is_one_of(option, {"BLK_DEV_INITRD", "BINFMT_ELF", "DEVTMPFS", "PROC_FS", "SYSFS", "TMPFS", "PCI", "VIRTIO_PCI"}))
        return Weight::fatal;
    if (option == "BLK_DEV") return fatal_if(has_disks(m));
    if (option == "VIRTIO_BLK") return fatal_if(has_disks(m) && m.disk_interface == "virtio");
    if (option == "SCSI_VIRTIO") return fatal_if(has_disks(m) && m.disk_interface == "scsi");
    if (for_9p) return fatal_if(may_use_9p(m));
    if (option == "VIRTIO_FS") return fatal_if(may_use_virtiofs(m));
    if (option == "EROFS_FS") return fatal_if(m.store_kind == "erofs");
    if (is_one_of(option, {"OVERLAY_FS", "FUSE_FS"})) return fatal_if(no_union && m.writable_store);
    if (option == "HW_RANDOM_VIRTIO") return note_if(m.rng);
    if (option == "VIRTIO_BALLOON") return note_if(m.balloon);
    if (option == "VIRTIO_VSOCKETS") return note_if(m.vsock_cid != 0);
    // The root may have another file system than ext4.
    return note_if(is_one_of(option, {"BINFMT_SCRIPT", "UNIX", "NET", "INET", "NETDEVICES", "VIRTIO_NET", "SERIAL_8250_CONSOLE",
                                      "VIRTIO_CONSOLE"}) ||
                   (option == "EXT4_FS" && !m.disk_image.empty()));
}

// `CONFIG_NET_9P, CONFIG_9P_FS: no share: the store doesn't come`: one line per consequence.
std::vector<std::string> told(const std::vector<Lack> &lacks, bool fatal) {
    std::vector<std::string> texts, options;
    for (const auto &lack : lacks) {
        if (lack.fatal != fatal) continue;
        const auto known = std::ranges::find(texts, lack.without);
        if (known == texts.end()) {
            texts.push_back(lack.without);
            options.push_back(lack.option);
        } else {
            options[static_cast<size_t>(known - texts.begin())] += ", " + lack.option;
        }
    }
    for (size_t i = 0; i < texts.size(); ++i) texts[i] = options[i] + ": " + texts[i];
    return texts;
}

// The result of `lacks`, from the cache if possible. Empty: nothing is missing, or the configuration is not available.
std::vector<Lack> lacks_of(const std::string &kernel, std::vector<Remembered> &learned) {
    const std::string beside = (std::filesystem::path(kernel).parent_path() / "config").string();
    const std::string path = cache_path("lacks-" + short_hash(file_identity(kernel) + file_identity(beside)));
    auto known = cached(path);
    if (!known) {
        known = "";
        if (auto config = kernel_config(kernel))
            for (const auto &lack : lacks(*config)) *known += lack.option + "\n";
        learned.push_back({path, *known});
    }
    // An empty configuration lacks everything. Keep only the options that are known to be missing.
    std::vector<Lack> all = lacks("");
    std::erase_if(all, [&](const Lack &lack) { return !("\n" + *known).contains("\n" + lack.option + "\n"); });
    return all;
}

}  // namespace

std::vector<Lack> lacks_that_matter(const Machine &m, const std::vector<Lack> &missing) {
    const auto lacks_it = [&](std::string_view option) { return std::ranges::contains(missing, option, &Lack::option); };
    const bool no_union = lacks_it("CONFIG_OVERLAY_FS") && lacks_it("CONFIG_FUSE_FS");
    std::vector<Lack> result;
    for (const auto &lack : missing)
        if (const Weight weight = weight_of(lack.option, m, no_union); weight != Weight::nothing)
            result.push_back({lack.option, lack.without, weight == Weight::fatal});
    return result;
}

Result<> check_kernel_config(LaunchFacts &facts, const Machine &m, const std::string &kernel) {
    const auto lacking = lacks_that_matter(m, lacks_of(kernel, facts.learned));
    std::string why;
    for (const auto &text : told(lacking, true)) why += (why.empty() ? "" : "; ") + text;
    if (!why.empty())
        return base::fail(0, "use kernel", kernel,
                          std::format("it was built without {}; name another with --kernel (runvm check FILE lists all)", why));
    for (const auto &text : told(lacking, false)) facts.notes.push_back(std::format("the kernel was built without {}", text));
    return {};
}

}  // namespace hostside
