#include "stage1/base/virtio_port.h"

#include <fcntl.h>

#include <cerrno>
#include <filesystem>
#include <string>

#include "mounts/base/at.h"

namespace stage1 {

base::Result<base::Fd> open_virtio_port(std::string_view name) {
    std::error_code error;
    for (const auto &port : std::filesystem::directory_iterator("/sys/class/virtio-ports", error)) {
        auto found = base::read_file(port.path() / "name", 4096);
        if (!found) continue;
        while (found->ends_with('\n')) found->pop_back();
        if (*found == name) return base::open_at(AT_FDCWD, "/dev/" + port.path().filename().string(), O_RDWR | O_NONBLOCK);
    }
    return base::fail(ENODEV, "find port", name, "was this machine started by runvm?");
}

}  // namespace stage1
