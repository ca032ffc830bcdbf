#include "stage1/base/status_port.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string>

#include "mounts/base/at.h"
#include "mounts/protocol.h"

namespace stage1 {

namespace {

constexpr int acknowledge_timeout_ms = 5000;

// Ports are numbered; their names are in sysfs. No udev has made /dev/virtio-ports yet.
base::Fd open_port() {
    std::error_code error;
    for (const auto &port : std::filesystem::directory_iterator("/sys/class/virtio-ports", error)) {
        auto name = base::read_file(port.path() / "name", 4096);
        if (!name) continue;
        while (name->ends_with('\n')) name->pop_back();
        if (*name != mounts::protocol::status_port) continue;
        if (auto fd = base::open_at(AT_FDCWD, "/dev/" + port.path().filename().string(), O_RDWR | O_NONBLOCK))
            return std::move(*fd);
    }
    return {};
}

// Open from the first word to the exec of stage 2, as the log is: at each open and close the processor spins until the host
// has taken note (Linux, drivers/char/virtio_console.c, __send_control_msg). -1: there is none, or not yet.
base::Fd held;

int port() {
    if (!held) held = open_port();
    return held.get();
}

}  // namespace

void hang_up() { held.reset(); }

void mention_to_host(std::string_view line) {
    if (const int fd = port(); fd >= 0) (void)base::write_all(fd, std::string(line) + "\n", "status port");
}

bool tell_host(std::string_view line) {
    const int fd = port();
    if (fd < 0) return false;
    std::string text(line);
    std::ranges::replace(text, '\n', ' ');
    if (!base::write_all(fd, text + "\n", "status port")) return false;
    std::array<char, 64> answer;
    pollfd poll{fd, POLLIN, 0};
    return ::poll(&poll, 1, acknowledge_timeout_ms) == 1 && ::read(fd, answer.data(), answer.size()) > 0;
}

}  // namespace stage1
