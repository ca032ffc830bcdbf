#include "hostside/cli/lone_machine.h"

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <format>
#include <utility>

#include "hostside/cli/arguments.h"
#include "hostside/host/image.h"
#include "mounts/base/at.h"
#include "mounts/base/json_text.h"
#include "mounts/protocol.h"

namespace hostside {

using base::fail;
using base::Result;

namespace {

Result<DiskWord> disk_of(const std::string &word) {
    const size_t comma = word.rfind(',');
    if (comma == std::string::npos || ::access(word.c_str(), F_OK) == 0) return DiskWord{word};
    std::string_view size = std::string_view(word).substr(comma + 1);
    int factor = 1;
    if (size.ends_with('G')) factor = 1024;
    if (size.ends_with('G') || size.ends_with('M')) size.remove_suffix(1);
    int number = 0;
    const auto [end, error] = std::from_chars(size.data(), size.data() + size.size(), number);
    constexpr int most = 64 << 10;  // for both units
    if (error != std::errc{} || end != size.data() + size.size() || number < 1 || number > most)
        return fail(0, "add disk", word, "must be FILE or FILE,SIZE with a size such as 512, 512M or 2G");
    return DiskWord{word.substr(0, comma), number * factor};
}

}  // namespace

void add_disk_option(CLI::App &command, std::vector<std::string> &words) {
    command
        .add_option("--disk", words, "a disk of the machine; with a size, created if it does not exist; the first is /dev/vda")
        ->type_name("FILE[,SIZE]")
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

void make_lone(Arguments &machine, bool writable_store) {
    add_setting(machine, "kernelParams", std::format("{}=only", mounts::protocol::agent_parameter));
    default_setting(machine, "diskImage", "");
    default_setting(machine, "writableStore", writable_store ? "true" : "false");
    default_setting(machine, "regInfo", "/dev/null");
    const bool system =
        !machine.system.empty() || !machine.config.empty() ||
        std::ranges::any_of(machine.flags, [](const Flag &f) { return f.key.path == "toplevel" && !f.values.empty(); });
    if (!system) default_setting(machine, "init", "/none");
}

Result<std::vector<DiskWord>> disks_of(const std::vector<std::string> &words, bool made_before) {
    std::vector<DiskWord> disks;
    for (const auto &word : words) {
        auto disk = disk_of(word);
        if (!disk) return std::unexpected(disk.error());
        // The hook that runs first may create the file.
        if (disk->mib == 0 && !made_before && ::access(disk->file.c_str(), F_OK) < 0)
            return fail(errno, "add disk", disk->file, "pass a size to create it: --disk FILE,SIZE");
        disks.push_back(std::move(*disk));
    }
    return disks;
}

Result<> add_disks(Arguments &arguments, const std::vector<DiskWord> &disks, const std::string &qemu) {
    for (const auto &disk : disks) {
        if (disk.mib > 0)
            if (auto made = ensure_image(qemu, disk.file, disk.mib); !made) return std::unexpected(made.error());
        // The user determines the format, never the content, which a guest may have written.
        const std::string_view format = disk.mib > 0 || disk.file.ends_with(".qcow2") ? "qcow2" : "raw";
        add_setting(arguments, "drives", std::format(R"({{"file":{},"format":"{}"}})", base::json_text(disk.file), format));
    }
    return {};
}

Result<> leave_status(int status) {
    const char *temporary = std::getenv("TMPDIR");
    const char *use = std::getenv("USE_TMPDIR");
    if (temporary == nullptr || use == nullptr || *temporary == '\0' || *use == '\0') return {};
    const std::string path = std::string(temporary) + "/xchg", name = "in-vm-exit";
    auto directory = base::open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
    if (!directory) return std::unexpected(directory.error());
    if (::unlinkat(directory->get(), name.c_str(), 0) < 0 && errno != ENOENT) return fail(errno, "remove", path + "/" + name);
    auto file = base::open_at(directory->get(), name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);
    return file ? base::write_all(file->get(), std::format("{}\n", status), name) : std::unexpected(file.error());
}

}  // namespace hostside
