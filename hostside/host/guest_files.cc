#include "hostside/host/guest_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <format>
#include <string_view>
#include <utility>
#include <vector>

#include "hostside/base/run_names.h"
#include "mounts/base/at.h"
#include "mounts/base/empty_directory.h"
#include "mounts/base/fd.h"
#include "mounts/protocol.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;

const char *what_is(mode_t mode) {
    switch (mode & S_IFMT) {
    case S_IFLNK: return "a symlink";
    case S_IFIFO: return "a FIFO";
    case S_IFCHR:
    case S_IFBLK: return "a device";
    case S_IFSOCK: return "a socket";
    case S_IFDIR: return "a directory";
    default: return "something else";
    }
}

}  // namespace

Result<std::string> read_from_guest(const std::string &directory, const std::string &name, size_t limit_bytes) {
    auto dir = base::open_at(AT_FDCWD, directory, O_PATH | O_DIRECTORY | O_NOFOLLOW);
    if (!dir) return std::unexpected(dir.error());
    // Check the type before opening, because open alone rewinds tapes, starts watchdogs, and waits for a FIFO's other end.
    auto found = base::open_beneath(dir->get(), name, O_PATH | O_NOFOLLOW);
    if (!found) return fail(found.error().code, "read from the guest", name);
    struct stat st{};
    if (::fstat(found->get(), &st) < 0) return fail(errno, "read from the guest", name);
    if (!S_ISREG(st.st_mode))
        return fail(0, "read from the guest", name,
                    std::format("it is {} instead of a file; runvm does not read it", what_is(st.st_mode)));
    if (st.st_nlink != 1)
        return fail(0, "read from the guest", name, "it is a hard link, maybe to another user's file; runvm does not read it");
    if (static_cast<uint64_t>(st.st_size) > limit_bytes)
        return fail(0, "read from the guest", name,
                    std::format("it has {} bytes, and the limit is {}; runvm does not read it", st.st_size, limit_bytes));
    // Opens the same file, even if its name now leads to another one.
    auto file = base::open_at(AT_FDCWD, std::format("/proc/self/fd/{}", found->get()), O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (!file) return fail(file.error().code, "read from the guest", name);
    return base::read_all(file->get(), name, limit_bytes);
}

namespace {

Result<std::string> stage1_report(const std::string &run_directory, const std::string &xchg, size_t limit_bytes) {
    const std::string name(mounts::protocol::report_file);
    struct stat of_port{}, of_xchg{};
    const bool by_port = ::stat((run_directory + "/" + name).c_str(), &of_port) == 0;
    const bool by_xchg = ::lstat((xchg + "/" + name).c_str(), &of_xchg) == 0;
    const auto when = [](const struct stat &st) { return std::pair{st.st_mtim.tv_sec, st.st_mtim.tv_nsec}; };
    // An xchg that outlives its run (USE_TMPDIR) may contain another boot's report.
    if (by_port && (!by_xchg || when(of_port) > when(of_xchg))) return base::read_file(run_directory + "/" + name, limit_bytes);
    return read_from_guest(xchg, name, limit_bytes);
}

// Adds systemd's times for stage 2 as one more step. Leaves a report unchanged if it does not end as stage 1's do.
std::string with_stage2(std::string report, const std::string &times) {
    constexpr std::string_view space = " \t\r\n";
    const size_t gap = times.find(' '), close = report.rfind(']');
    if (gap == std::string::npos || close == std::string::npos || close == 0) return report;
    if (report.find_first_not_of(std::string(space) + "}", close + 1) != std::string::npos) return report;
    const size_t last = report.find_last_not_of(space, close - 1);
    if (last == std::string::npos || report[last] != '}') return report;
    report.insert(last + 1, std::format(",\n {{\"phase\": \"stage 2\", \"step\": \"systemd\", \"text\": \"systemd, until it had "
                                        "started everything\", \"start_us\": {}, \"end_us\": {}}}",
                                        times.substr(0, gap), times.substr(gap + 1)));
    return report;
}

}  // namespace

Result<std::string> guest_report(const std::string &run_directory, const std::string &xchg, size_t limit_bytes) {
    constexpr size_t two_numbers_bytes = 64;
    auto report = stage1_report(run_directory, xchg, limit_bytes);
    if (!report) return report;
    // Written by the launcher; holds two numbers.
    return with_stage2(std::move(*report),
                       base::read_file(run_directory + "/" + std::string(stage2_times), two_numbers_bytes).value_or(""));
}

Result<> remove_guest_directory(const std::string &directory) {
    (void)::fchmodat(AT_FDCWD, directory.c_str(), 0700, AT_SYMLINK_NOFOLLOW);
    auto top = base::open_at(AT_FDCWD, directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!top) {
        if (top.error().code == ENOENT || ::unlink(directory.c_str()) == 0) return {};
        return fail(top.error().code, "remove", directory);
    }
    if (auto emptied = base::empty_directory(top->get(), directory); !emptied) return emptied;
    if (::rmdir(directory.c_str()) < 0) return fail(errno, "remove", directory);
    return {};
}

}  // namespace hostside
