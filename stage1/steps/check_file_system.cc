#include "stage1/steps/check_file_system.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <format>

#include "mounts/base/process.h"
#include "mounts/devices/mount_file_system.h"

namespace stage1 {

namespace {

constexpr std::array<const char *, 3> directories{"/bin/", "/sbin/", "/usr/sbin/"};

// The last part of the output, on one line for the console: checkers print several lines, and the last ones say why they gave
// up.
std::string last_words(std::string text) {
    constexpr size_t limit_bytes = 400;
    while (text.ends_with('\n')) text.pop_back();
    if (text.size() > limit_bytes) text = "…" + text.substr(text.size() - limit_bytes);
    std::ranges::replace(text, '\n', ' ');
    return text;
}

}  // namespace

bool initrd_has_checkers() {
    std::error_code none;  // a missing directory is fine
    for (const char *directory : directories)
        for (const auto &entry : std::filesystem::directory_iterator(directory, none))
            if (entry.path().filename().native().starts_with("fsck.")) return true;
    return false;
}

base::Result<std::string> check_file_system(const std::string &device, const std::string &type) {
    for (const char *self_checking :
         {"btrfs", "zfs", "bcachefs", "tmpfs", "xfs", "squashfs", "erofs", "iso9660", "udf", "nilfs2", "apfs"})
        if (type == self_checking) return std::format("fsck: {} is {}, which checks itself", device, type);
    if (const auto at = mounts::mounted_at(device); !at.target.empty())
        return std::format("fsck: {} is mounted on '{}', not checked", device, at.target);
    std::string checker;
    for (const char *directory : directories)
        if (const std::string path = std::format("{}fsck.{}", directory, type); ::access(path.c_str(), X_OK) == 0) checker = path;
    if (checker.empty()) return std::format("fsck: the initrd has no fsck.{}; {} is mounted unchecked", type, device);
    const auto exit = base::run({.argv = {checker, "-a", device}, .capture_output = true});
    if (!exit) return std::unexpected(exit.error());
    // Bits of fsck(8): 1 errors corrected, 2 reboot needed, 4 errors left, 8 and above: the checker itself failed.
    std::string why;
    if ((exit->status & 2) != 0)
        why = "errors were corrected, and the machine must be restarted";
    else if ((exit->status & 4) != 0)
        why = std::format("errors are left; run '{} {}' by hand", checker, device);
    else if (exit->status >= 8)
        why = std::format("{} failed with {}", checker, exit->status);
    if (!why.empty()) return base::fail(0, "fsck", device, std::format("{}; it said: {}", why, last_words(exit->output)));
    return std::format("fsck: {} {} ({})", checker, device, exit->status == 0 ? "clean" : std::format("exit {}", exit->status));
}

}  // namespace stage1
