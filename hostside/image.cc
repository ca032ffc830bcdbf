#include "hostside/image.h"

#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <format>

#include "mounts/base/process.h"

namespace hostside {

namespace {

base::Result<> qemu_img(std::vector<std::string> arguments, const std::string &path) {
    std::vector<std::string> argv{"qemu-img", "create", "-q", "-f", "qcow2"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    auto exit = base::run({.argv = argv, .capture_output = true});
    if (!exit) {
        exit.error().hint = "install it (Debian: qemu-utils), or put its folder into PATH";
        return std::unexpected(exit.error());
    }
    while (exit->output.ends_with('\n')) exit->output.pop_back();
    if (exit->status != 0) return base::fail(0, "create image", path, exit->output);
    return {};
}

// qemu-img takes `name:rest` for a protocol and `-name` for an option.
std::string as_argument(const std::string &path) { return path.starts_with('/') ? path : "./" + path; }

}  // namespace

base::Result<bool> ensure_image(const std::string &path, int size_mib) {
    struct stat st{};
    if (::stat(path.c_str(), &st) == 0) {
        if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)) return false;
        return base::fail(0, "use image", path, "neither a file nor a block device");
    }
    if (errno != ENOENT) return base::fail(errno, "use image", path);
    auto done = qemu_img({as_argument(path), std::format("{}M", size_mib)}, path);
    if (!done) return std::unexpected(done.error());
    return true;
}

base::Result<> overlay_image(const std::string &overlay, const std::string &backing) {
    return qemu_img({"-F", "qcow2", "-b", std::filesystem::absolute(backing).string(), overlay}, overlay);
}

}  // namespace hostside
