#include "stage1/base/tell_host.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>

#include "mounts/base/at.h"
#include "mounts/protocol.h"
#include "stage1/base/virtio_port.h"

namespace stage1 {

namespace {

using base::fail;
using base::Result;

constexpr int acknowledge_timeout_ms = 5000;

// The port stays open from the first message to the exec of stage 2, like the log, because each open and close makes the CPU
// spin until the host reacts (Linux, drivers/char/virtio_console.c, __send_control_msg). -1: no port yet.
base::Fd held;

Result<int> port() {
    if (!held) {
        auto opened = open_virtio_port(mounts::protocol::status_port);
        if (!opened) return std::unexpected(opened.error());
        held = std::move(*opened);
    }
    return held.get();
}

// Sends one line, even if a name from the table contains a newline.
base::Result<> send_line(int fd, std::string_view line) {
    std::string text(line);
    std::ranges::replace(text, '\n', ' ');
    return base::write_all(fd, text + "\n", "status port");
}

// Sends one line and returns the answer.
Result<std::string> ask_host(std::string_view line) {
    const auto fd = port();
    if (!fd) return std::unexpected(fd.error());
    if (auto written = send_line(*fd, line); !written) return std::unexpected(written.error());
    std::array<char, 64> answer;
    pollfd poll{*fd, POLLIN, 0};
    const ssize_t n = ::poll(&poll, 1, acknowledge_timeout_ms) == 1 ? ::read(*fd, answer.data(), answer.size()) : 0;
    if (n > 0) return std::string(answer.data(), static_cast<size_t>(n));
    return fail(0, "tell", mounts::protocol::status_port, "no answer from the launcher");
}

}  // namespace

void hang_up() { held.reset(); }

void mention_to_host(std::string_view line) {
    if (const auto fd = port()) (void)send_line(*fd, line);
}

void send_report(const std::vector<std::string> &records) {
    // The driver takes a write of this size either whole or not at all (port_fops_write).
    constexpr size_t enough_bytes = size_t{16} << 10;
    const auto fd = port();
    if (!fd) return;
    std::string text = "report\n";
    for (const auto &record : records) {
        if (text.size() + record.size() > enough_bytes) {
            if (!base::write_all(*fd, text, "status port")) return;
            text.clear();
        }
        text += "report " + record + "\n";
    }
    (void)base::write_all(*fd, text, "status port");
}

Result<> tell_host(std::string_view line) {
    const auto answer = ask_host(line);
    return answer ? Result<>() : std::unexpected(answer.error());
}

bool still_vouched() {
    const auto answer = ask_host("fresh-disk");
    // A late `ack` to an earlier line does not answer this question.
    return answer && *answer == mounts::protocol::fresh_answer;
}

}  // namespace stage1
