#include "unionfs/fuse/caller.h"

#include <sys/fsuid.h>
#include <sys/stat.h>

#include "unionfs/fuse/capabilities.h"

namespace unionfs {

namespace {

// Leaving user 0 clears the file capabilities from the effective set (capabilities(7)). They are still permitted, so raise
// them.
void raise_capabilities() {
    Capabilities ours{};
    if (!get_capabilities(ours)) return;
    for (auto &sets : ours) sets.effective = sets.permitted;
    (void)set_capabilities(ours);  // if that fails, the next call returns EACCES
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
