#include "hostside/image.h"

#include <unistd.h>

#include <format>

#include "mounts/base/process.h"

namespace hostside {

base::Result<bool> ensure_image(const std::string &path, uint64_t size_mib, const std::string &qemu_img) {
    if (::access(path.c_str(), F_OK) == 0) return false;
    // Made under another name and then renamed: an interrupted run leaves no image that looks whole.
    const std::string temporary = std::format("{}.new-{}", path, ::getpid());
    const auto exit = base::run(
        {.argv = {qemu_img, "create", "-q", "-f", "qcow2", temporary, std::format("{}M", size_mib)}, .capture_output = true});
    if (!exit) {
        auto error = exit.error();
        error.hint = "qemu-img makes disk images; Debian: qemu-utils, NixOS: qemu";
        return std::unexpected(std::move(error));
    }
    if (exit->status == 0 && ::rename(temporary.c_str(), path.c_str()) == 0) return true;
    const int code = exit->status == 0 ? errno : 0;
    (void)::unlink(temporary.c_str());
    return base::fail(code, "create disk image", path, exit->output.substr(0, exit->output.find('\n')));
}

}  // namespace hostside
