#include "stage1/agent/stage2_times.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <format>
#include <ranges>

#include "mounts/base/process.h"
#include "stage1/base/tell_host.h"

namespace stage1 {

namespace {

// Microseconds since the kernel began (org.freedesktop.systemd1(5)). 0: not yet, or no such line.
int64_t stamp_in(std::string_view shown, std::string_view name) {
    for (const auto part : std::views::split(shown, '\n')) {
        const std::string_view line(part);
        if (!line.starts_with(name) || !line.substr(name.size()).starts_with('=')) continue;
        int64_t us = 0;
        const auto [end, error] = std::from_chars(line.data() + name.size() + 1, line.data() + line.size(), us);
        return error == std::errc{} && end == line.data() + line.size() && us > 0 ? us : 0;
    }
    return 0;
}

std::string line_of_systemd() {
    // Waits until systemd has started everything. A systemctl without --wait returns at once, and is asked again later.
    (void)base::run({.argv = {"systemctl", "is-system-running", "--wait"}, .capture_output = true});
    const auto shown =
        base::run({.argv = {"systemctl", "show", "--property=UserspaceTimestampMonotonic,FinishTimestampMonotonic"},
                   .capture_output = true});
    return shown ? stage2_line(shown->output) : "";
}

void watch() {
    constexpr int patience_s = 600, tries = 30;
    std::string line;
    for (int i = 0; i < patience_s && line.empty(); ++i) {
        (void)::sleep(1);
        if (::access("/run/systemd/system", F_OK) == 0) line = line_of_systemd();
    }
    // Another process may be using the port.
    for (int i = 0; i < tries && !line.empty() && !tell_host(line); ++i) (void)::sleep(1);
}

}  // namespace

std::string stage2_line(std::string_view shown) {
    const int64_t began = stamp_in(shown, "UserspaceTimestampMonotonic"), ended = stamp_in(shown, "FinishTimestampMonotonic");
    return began > 0 && ended >= began ? std::format("stage2 {} {}", began, ended) : "";
}

void tell_stage2_times(const std::string &system) {
    const pid_t between = ::fork();
    if (between > 0) {
        while (::waitpid(between, nullptr, 0) < 0 && errno == EINTR) {
        }
    }
    if (between != 0) return;
    if (::fork() != 0) ::_exit(0);  // so that PID 1 reaps the other process
    (void)::setsid();
    (void)::syscall(SYS_close_range, STDERR_FILENO + 1, ~0U, 0);
    (void)::prctl(PR_SET_NAME, "stage1-times");
    const std::string path = (system.empty() ? "" : system + "/sw/bin:") + "/run/current-system/sw/bin:/usr/bin:/bin";
    (void)::setenv("PATH", path.c_str(), 1);
    watch();
    ::_exit(0);
}

}  // namespace stage1
