#include "hostside/run/oom.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <format>

#include "mounts/base/at.h"

namespace hostside {

// `Out of memory: Killed process 711 (qemu-system-x86) total-vm:…`, `Memory cgroup out of memory: Killed process …` (Linux,
// mm/oom_kill.c).
bool names_oom_kill(std::string_view line, pid_t pid) {
    return line.contains("ut of memory") && line.contains(std::format("Killed process {} (", pid));
}

bool killed_for_memory(pid_t pid) {
    const auto log = base::open_at(AT_FDCWD, "/dev/kmsg", O_RDONLY | O_NONBLOCK);
    if (!log) return false;
    constexpr int most_records = 1 << 17;  // limit for a log that grows as fast as we read
    std::array<char, 8192> record;         // one record per read (Linux, Documentation/ABI/testing/dev-kmsg)
    for (int i = 0; i < most_records; ++i) {
        const ssize_t n = ::read(log->get(), record.data(), record.size());
        if (n > 0 && names_oom_kill({record.data(), static_cast<size_t>(n)}, pid)) return true;
        if (n <= 0 && errno != EPIPE && errno != EINTR && errno != EINVAL) return false;  // EPIPE: overwritten while we read
        if (n == 0) return false;
    }
    return false;
}

}  // namespace hostside
