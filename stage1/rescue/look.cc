#include "stage1/rescue/look.h"

#include <fcntl.h>
#include <sys/klog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <format>
#include <ranges>
#include <vector>

#include "mounts/base/at.h"
#include "mounts/base/directory.h"
#include "mounts/base/printable.h"
#include "mounts/devices/find_device.h"

namespace stage1 {

namespace {

using base::fail;
using base::Result;

char kind_of(mode_t mode) {
    switch (mode & S_IFMT) {
    case S_IFDIR: return 'd';
    case S_IFLNK: return 'l';
    case S_IFBLK: return 'b';
    case S_IFCHR: return 'c';
    case S_IFIFO: return 'p';
    case S_IFSOCK: return 's';
    default: return '-';
    }
}

std::string entry_line(int directory, const std::string &name) {
    struct stat st{};
    if (::fstatat(directory, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) < 0)
        return std::format("{}: {}\n", base::printable(name), base::errno_text(errno));
    std::string line = std::format("{}{:04o} {:5} {:5} {:12} {}", kind_of(st.st_mode), st.st_mode & 07777, st.st_uid, st.st_gid,
                                   st.st_size, base::printable(name));
    std::array<char, PATH_MAX> target;
    const ssize_t n = S_ISLNK(st.st_mode) ? ::readlinkat(directory, name.c_str(), target.data(), target.size()) : 0;
    if (n > 0) line += " -> " + base::printable({target.data(), static_cast<size_t>(n)});
    return line + '\n';
}

}  // namespace

Result<> list_directory(const std::string &path, const Show &show) {
    struct stat st{};
    if (::lstat(path.c_str(), &st) < 0) return fail(errno, "ls", path);
    const auto directory = base::open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
    if (!directory && directory.error().code == ENOTDIR) {
        (void)show(entry_line(AT_FDCWD, path));
        return {};
    }
    if (!directory) return fail(directory.error().code, "ls", path);
    auto names = base::names_in(directory->get(), path, 100'000);
    if (!names) return std::unexpected(names.error());
    std::ranges::sort(*names);
    for (const auto &name : *names)
        if (!show(entry_line(directory->get(), name))) break;
    return {};
}

Result<> show_file(const std::string &path, const Show &show) {
    const auto file = base::open_at(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (!file) return std::unexpected(file.error());
    std::array<char, 16384> piece;
    for (;;) {
        const ssize_t n = ::read(file->get(), piece.data(), piece.size());
        if (n < 0 && errno == EAGAIN) return {};  // the current end of a FIFO or of the kernel's log
        if (n < 0) return fail(errno, "cat", path);
        if (n == 0 || !show(base::printable_lines({piece.data(), static_cast<size_t>(n)}))) return {};
    }
}

Result<> show_kernel_log(const Show &show) {
    constexpr int read_all = 3, size_of_buffer = 10;  // SYSLOG_ACTION_* of syslog(2)
    const int size = ::klogctl(size_of_buffer, nullptr, 0);
    std::string text(static_cast<size_t>(std::max(size, 0)), '\0');
    const int n = ::klogctl(read_all, text.data(), size);
    if (size < 0 || n < 0) return fail(errno, "dmesg", "");
    text.resize(static_cast<size_t>(n));
    for (const auto part : std::views::split(text, '\n')) {
        std::string_view line(part);
        // `<6>[    1.234567] text`
        if (line.starts_with('<')) line.remove_prefix(std::min(line.find('>') + 1, line.size()));
        if (!line.empty() && !show(base::printable_lines(line) + "\n")) break;
    }
    return {};
}

Result<> show_modules(const Show &show) {
    const auto text = base::read_file("/proc/modules");
    if (!text) return std::unexpected(text.error());
    for (const auto part : std::views::split(*text, '\n')) {
        // name, size, use count, users (a comma after each), state, address
        std::vector<std::string_view> fields;
        for (const auto field : std::views::split(part, ' ')) fields.emplace_back(field);
        if (fields.size() > 3 && !show(std::format("{:20} {:>9} {:>3} {}\n", fields[0], fields[1], fields[2], fields[3]))) break;
    }
    return {};
}

Result<> show_devices(const Show &show) {
    for (const auto &device : mounts::list_devices())
        if (!show(base::printable(mounts::describe(std::vector{device})) + "\n")) break;
    return {};
}

}  // namespace stage1
