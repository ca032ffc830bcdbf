#include "tests/support/rings.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <fstream>

namespace support {

namespace {

constexpr const char *parameter = "/sys/module/fuse/parameters/enable_uring";

std::string value() {
    std::string word;
    std::ifstream(parameter) >> word;
    return word;
}

void set(std::string_view word) { std::ofstream(parameter) << word; }

base::Fd locked(int how) {
    base::Fd fd(::open(parameter, O_RDONLY | O_CLOEXEC));
    (void)::flock(fd.get(), how);
    return fd;
}

// Restores N at the end if a test changed it to Y.
struct PutBack {
    bool needed = false;
    ~PutBack() {
        if (!needed) return;
        const base::Fd lock = locked(LOCK_EX);
        set("N");
    }
} put_back;

}  // namespace

std::string missing_io_uring() {
    if (value().empty()) return "the kernel has no FUSE over io_uring (Linux 6.14 has)";
    const Rings rings(true);
    return value() == "Y" ? std::string() : "fuse.enable_uring can't be set here";
}

Rings::Rings(bool allowed) : lock_(locked(allowed ? LOCK_SH : LOCK_EX)), before_(value()), allowed_(allowed) {
    if (before_ == (allowed ? "Y" : "N")) return;
    set(allowed ? "Y" : "N");
    if (allowed) put_back.needed = true;
}

Rings::~Rings() {
    if (!allowed_) set(before_);
}

}  // namespace support
