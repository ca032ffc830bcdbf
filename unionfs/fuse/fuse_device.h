// The mount itself, on /dev/fuse: by mount(2) if that is allowed, otherwise through fusermount3.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"
#include "unionfs/base/options.h"

namespace unionfs {

struct FuseDevice {
    base::Fd fd{};
    bool rootless = false;    // mounted by fusermount3 or in a user namespace: no passthrough
    std::string complaint{};  // fusermount3's message although it mounted; on one line
    base::Fd processes{};     // /proc at mount time; switch_root moves it out of the daemon's reach
};

base::Result<FuseDevice> mount_device(const Options &options);

// Changes the kernel's options of a mounted union, such as ro.
base::Result<> remount(const Options &options);

// The device number of what is mounted there; 0: unknown. Sends it no request, because it may not serve yet.
dev_t device_at(const std::string &mountpoint);

// Another descriptor of the same connection, so that threads don't queue at one. Invalid if the kernel can't make one.
base::Fd clone_device(int device);

// Makes the kernel ask for a node's attributes again. May be called while the node is in use, because this takes none of its
// locks.
void drop_cached_attributes(int device, uint64_t node_id);

// Asks the kernel to resend what a dead worker read and did not answer (Linux 6.9).
void ask_to_resend(const FuseDevice &device);

void unmount_device(const Options &options);

}  // namespace unionfs
