#include "unionfs/upper/xattr.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>

#include "mounts/base/fd.h"

namespace unionfs {

namespace {

// linux/xattr.h of 6.13; the numbers are the same on every architecture (unified system call table).
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

// Set once, before any thread: the process's own directory of descriptors is reached by this.
const char *descriptors = "/proc/self/fd/";

// The path of an object for calls that take no descriptor of O_PATH.
struct ProcPath {
    base::Fd owned{};
    std::string path{};
    ProcPath(int dir, const char *name) {
        if (*name != '\0') owned.reset(::openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
        path = descriptors + std::to_string(*name != '\0' ? owned.get() : dir);
    }
};

}  // namespace

bool keep_descriptors_reachable() {
    if (::chdir("/proc/self/fd") < 0) return false;
    descriptors = "";
    return true;
}

ssize_t get_xattr(int dir, const char *name, const char *attribute, void *value, size_t size) {
    ssize_t n = -1;
    if (have_at_calls()) {
        XattrArguments arguments{reinterpret_cast<uint64_t>(value), static_cast<uint32_t>(size), 0};
        n = ::syscall(get_call, dir, name, at_flags(name), attribute, &arguments, sizeof arguments);
    } else {
        n = ::getxattr(ProcPath(dir, name).path.c_str(), attribute, value, size);
    }
    return n < 0 ? -errno : n;
}

int set_xattr(int dir, const char *name, const char *attribute, const void *value, size_t size, int flags) {
    long n = -1;
    if (have_at_calls()) {
        XattrArguments arguments{reinterpret_cast<uint64_t>(value), static_cast<uint32_t>(size), static_cast<uint32_t>(flags)};
        n = ::syscall(set_call, dir, name, at_flags(name), attribute, &arguments, sizeof arguments);
    } else {
        n = ::setxattr(ProcPath(dir, name).path.c_str(), attribute, value, size, flags);
    }
    return n < 0 ? -errno : 0;
}

int remove_xattr(int dir, const char *name, const char *attribute) {
    const long n = have_at_calls() ? ::syscall(remove_call, dir, name, at_flags(name), attribute)
                                   : ::removexattr(ProcPath(dir, name).path.c_str(), attribute);
    return n < 0 ? -errno : 0;
}

ssize_t list_xattr(int dir, const char *name, char *list, size_t size) {
    const ssize_t n = have_at_calls() ? ::syscall(list_call, dir, name, at_flags(name), list, size)
                                      : ::listxattr(ProcPath(dir, name).path.c_str(), list, size);
    return n < 0 ? -errno : n;
}

int xattr_names(int dir, const char *name, std::vector<std::string> &names) {
    names.clear();
    for (;;) {
        ssize_t n = list_xattr(dir, name, nullptr, 0);
        if (n == 0 || n == -EOPNOTSUPP) return 0;
        if (n < 0) return static_cast<int>(-n);
        std::string list(static_cast<size_t>(n) + 1024, '\0');
        n = list_xattr(dir, name, list.data(), list.size());
        if (n == -ERANGE) continue;  // they became more meanwhile
        if (n < 0) return static_cast<int>(-n);
        for (const char *at = list.data(); at < list.data() + n; at += names.back().size() + 1) names.emplace_back(at);
        return 0;
    }
}

int xattr_value(int dir, const char *name, const std::string &attribute, std::string &value) {
    std::array<char, 1024> few{};  // most values are short, and most are not there
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
