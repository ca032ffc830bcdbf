#include "stage1/commands/generator.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <format>

#include "mounts/base/at.h"
#include "mounts/base/log.h"
#include "stage1/base/boot_input.h"

namespace stage1 {

namespace {

using base::Result;

constexpr std::string_view sysroot = "/sysroot";

// Writes to the early directory, because systemd's own generator takes `root=serial=X` for the path of a device.
Result<> write_units(const std::string &early) {
    const auto input = boot_input(std::string(sysroot));
    if (!input) return std::unexpected(input.error());
    const std::string unit = sysroot_mount(*input);
    if (unit.empty()) return {};
    const std::string wanted = early + "/initrd-root-fs.target.requires";
    if (::mkdir(wanted.c_str(), 0755) < 0 && errno != EEXIST) return base::fail(errno, "mkdir", wanted);
    const std::string link = wanted + "/sysroot.mount";
    if (::symlink("../sysroot.mount", link.c_str()) < 0 && errno != EEXIST) return base::fail(errno, "link", link);
    return base::replace_file(early + "/sysroot.mount", unit);
}

// Whether the initrd has an fstab for systemd with a root in it, as NixOS's has.
bool systemd_has_root() {
    const auto fstab = base::read_file("/etc/fstab");
    return fstab && fstab->contains(std::format(" {} ", sysroot));
}

}  // namespace

std::string sysroot_mount(const mounts::PlanInput &input) {
    const mounts::FileSystem &root = input.file_systems.front();
    const bool device = root.type != "tmpfs";
    const auto &named = input.parameters.root;
    if (device && named && named != "fstab" && !named->starts_with("serial=")) return {};
    return std::format(
        "[Unit]\nDescription=Root file system, as stage1 found it\nDocumentation=man:stage1(8)\n"
        "Requires=stage1-devices.service\nAfter=stage1-devices.service\nBefore=initrd-root-fs.target\n\n"
        "[Mount]\nWhat={}\nWhere={}\nType={}\nOptions={}\n",
        device ? root_link : "tmpfs", sysroot, root.type, root.options.empty() ? "defaults" : root.options);
}

int generator_main(int argc, char **argv) {
    if (argc != 4) {
        base::log(base::Priority::error, "stage1-generator: systemd starts this, with three directories");
        return 2;
    }
    if (::access("/etc/initrd-release", F_OK) != 0 || systemd_has_root()) return 0;
    const auto written = write_units(argv[2]);
    if (!written) base::log(written.error());
    return written ? 0 : 1;
}

}  // namespace stage1
