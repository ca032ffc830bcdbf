#include "unionfs/fuse/caller.h"

#include <linux/capability.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

namespace unionfs {

namespace {

// Leaving user 0 clears the file capabilities from the effective set (capabilities(7)). They are still permitted, so raise
// them.
void raise_capabilities() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    std::array<__user_cap_data_struct, 2> sets{};
    if (::syscall(SYS_capget, &header, sets.data()) != 0) return;
    for (auto &set : sets) set.effective = set.permitted;
    (void)::syscall(SYS_capset, &header, sets.data());  // if that fails, the next call returns EACCES
}

}  // namespace

Caller::Caller(bool privileged, uid_t uid, gid_t gid, mode_t umask) {
    thread_local mode_t current = ~mode_t{0};  // per thread; nobody else sets it
    if (current != umask) ::umask(umask);
    current = umask;
    if (!privileged || (uid == 0 && gid == 0)) return;
    changed_ = true;
    ::setfsgid(gid);
    ::setfsuid(uid);
    raise_capabilities();
}

Caller::~Caller() {
    if (!changed_) return;
    ::setfsuid(0);
    ::setfsgid(0);
}

}  // namespace unionfs
