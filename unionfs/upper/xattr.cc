#include "unionfs/upper/xattr.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>

#include "mounts/base/fd.h"

namespace unionfs {

namespace {

// From linux/xattr.h of Linux 6.13. The numbers are the same on every architecture (unified system call table).
struct XattrArguments {
    uint64_t value;
    uint32_t size;
    uint32_t flags;
};
constexpr long set_call = 463;
constexpr long get_call = 464;
constexpr long list_call = 465;
constexpr long remove_call = 466;

bool have_at_calls() {
    static const bool have = ::syscall(list_call, AT_FDCWD, "/", 0, nullptr, 0) >= 0 || errno != ENOSYS;
    return have;
}

unsigned at_flags(const char *name) { return AT_SYMLINK_NOFOLLOW | (*name == '\0' ? AT_EMPTY_PATH : 0U); }

// The path to the process's own descriptors. Set once, before any thread starts.
const char *descriptors = "/proc/self/fd/";

// A path to the object, for calls that don't take an O_PATH descriptor.
struct ProcPath {
    base::Fd owned{};
    std::string path{};
    ProcPath(int dir, const char *name) {
        if (*name != '\0') owned.reset(::openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
        path = descriptors + std::to_string(*name != '\0' ? owned.get() : dir);
    }
};

// The new calls don't take an O_PATH descriptor for the object itself.
ssize_t at_or_by_path(int dir, const char *name, const auto &at, const auto &by_path) {
    if (have_at_calls()) {
        const ssize_t n = at();
        if (n >= 0 || errno != EBADF || *name != '\0') return n;
    }
    return by_path(ProcPath(dir, name).path.c_str());
}

}  // namespace

bool keep_descriptors_reachable() {
    if (::chdir("/proc/self/fd") < 0) return false;
    descriptors = "";
    return true;
}

ssize_t get_xattr(int dir, const char *name, const char *attribute, void *value, size_t size) {
    const ssize_t n = at_or_by_path(
        dir, name,
        [&] {
            XattrArguments arguments{reinterpret_cast<uint64_t>(value), static_cast<uint32_t>(size), 0};
            return ::syscall(get_call, dir, name, at_flags(name), attribute, &arguments, sizeof arguments);
        },
        [&](const char *path) { return ::getxattr(path, attribute, value, size); });
    return n < 0 ? -errno : n;
}

int set_xattr(int dir, const char *name, const char *attribute, const void *value, size_t size, int flags) {
    const ssize_t n = at_or_by_path(
        dir, name,
        [&] {
            XattrArguments arguments{reinterpret_cast<uint64_t>(value), static_cast<uint32_t>(size),
                                     static_cast<uint32_t>(flags)};
            return ::syscall(set_call, dir, name, at_flags(name), attribute, &arguments, sizeof arguments);
        },
        [&](const char *path) { return ::setxattr(path, attribute, value, size, flags); });
    return n < 0 ? -errno : 0;
}

int remove_xattr(int dir, const char *name, const char *attribute) {
    const ssize_t n = at_or_by_path(
        dir, name, [&] { return ::syscall(remove_call, dir, name, at_flags(name), attribute); },
        [&](const char *path) { return ::removexattr(path, attribute); });
    return n < 0 ? -errno : 0;
}

ssize_t list_xattr(int dir, const char *name, char *list, size_t size) {
    const ssize_t n = at_or_by_path(
        dir, name, [&] { return ::syscall(list_call, dir, name, at_flags(name), list, size); },
        [&](const char *path) { return ::listxattr(path, list, size); });
    return n < 0 ? -errno : n;
}

int set_mode(int fd, mode_t mode) {
    constexpr long fchmodat2_call = 452;  // Linux 6.6
    if (::fchmod(fd, mode) == 0) return 0;
    if (errno != EBADF) return errno;
    if (::syscall(fchmodat2_call, fd, "", mode, AT_EMPTY_PATH) == 0) return 0;
    if (errno != ENOSYS) return errno;
    return ::chmod(ProcPath(fd, "").path.c_str(), mode) < 0 ? errno : 0;
}

int set_times(int fd, const timespec (&times)[2]) {
    // AT_EMPTY_PATH is Linux 5.8. Not every C library's function accepts it.
    if (::futimens(fd, times) == 0) return 0;
    if (errno != EBADF) return errno;
    if (::utimensat(fd, "", times, AT_EMPTY_PATH) == 0) return 0;
    if (errno != EINVAL) return errno;
    return ::utimensat(AT_FDCWD, ProcPath(fd, "").path.c_str(), times, 0) < 0 ? errno : 0;
}

int xattr_names(int dir, const char *name, std::vector<std::string> &names) {
    names.clear();
    for (;;) {
        ssize_t n = list_xattr(dir, name, nullptr, 0);
        if (n == 0 || n == -EOPNOTSUPP) return 0;
        if (n < 0) return static_cast<int>(-n);
        std::string list(static_cast<size_t>(n) + 1024, '\0');
        n = list_xattr(dir, name, list.data(), list.size());
        if (n == -ERANGE) continue;  // more were added in between
        if (n < 0) return static_cast<int>(-n);
        for (const char *at = list.data(); at < list.data() + n; at += names.back().size() + 1) names.emplace_back(at);
        return 0;
    }
}

int xattr_value(int dir, const char *name, const std::string &attribute, std::string &value) {
    std::array<char, 1024> few{};  // most values are short or absent
    ssize_t n = get_xattr(dir, name, attribute.c_str(), few.data(), few.size());
    if (n != -ERANGE) {
        value.assign(few.data(), n > 0 ? static_cast<size_t>(n) : 0);
        return n < 0 ? static_cast<int>(-n) : 0;
    }
    value.resize(65536);  // XATTR_SIZE_MAX
    n = get_xattr(dir, name, attribute.c_str(), value.data(), value.size());
    value.resize(n > 0 ? static_cast<size_t>(n) : 0);
    return n < 0 ? static_cast<int>(-n) : 0;
}

}  // namespace unionfs
