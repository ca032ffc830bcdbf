#include "stage1/check_file_system.h"

#include <unistd.h>

#include <array>
#include <format>

#include "mounts/base/process.h"

namespace stage1 {

base::Result<std::string> check_file_system(const std::string &device, const std::string &type) {
    for (const char *self_checking : {"btrfs", "zfs", "bcachefs", "tmpfs", "xfs", "squashfs", "erofs"})
        if (type == self_checking) return std::format("fsck: {} is {}, which checks itself", device, type);
    std::string checker;
    for (const char *folder : {"/bin/", "/sbin/", "/usr/sbin/"})
        if (const std::string path = std::format("{}fsck.{}", folder, type); ::access(path.c_str(), X_OK) == 0) checker = path;
    if (checker.empty()) return std::format("fsck: the initrd has no fsck.{}; {} is mounted unchecked", type, device);
    const auto exit = base::run({.argv = {checker, "-a", device}, .capture_output = true});
    if (!exit) return std::unexpected(exit.error());
    // Bits of fsck(8): 1 corrected, 2 reboot wanted, 4 errors left, 8 and above the checker itself failed.
    if ((exit->status & 2) != 0)
        return base::fail(0, "fsck", device, "errors were corrected and the machine must be started anew: " + exit->output);
    if ((exit->status & 4) != 0)
        return base::fail(0, "fsck", device,
                          std::format("errors are left; run '{} {}' by hand: {}", checker, device, exit->output));
    return std::format("fsck: {} {} ({})", checker, device, exit->status == 0 ? "clean" : std::format("exit {}", exit->status));
}

}  // namespace stage1
