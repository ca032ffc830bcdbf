#include "tests/support/caches.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace support {

namespace {

base::Fd locked(int how) {
    base::Fd fd(::open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC));
    (void)::flock(fd.get(), how);
    return fd;
}

}  // namespace

CachesKept::CachesKept() : lock_(locked(LOCK_SH)) {}

void drop_caches() {
    const base::Fd fd = locked(LOCK_EX);
    (void)!::write(fd.get(), "2", 1);
}

}  // namespace support
