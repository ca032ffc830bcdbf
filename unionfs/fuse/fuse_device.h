// /dev/fuse: the mount itself, by mount(2) where that is allowed, else through fusermount3.
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
    std::string complaint{};  // of fusermount3, though it mounted; on one line
    base::Fd processes{};     // /proc as it was then: switch_root moves it out of the daemon's sight
};

base::Result<FuseDevice> mount_device(const Options &options);

// Of a union that is mounted there: its options of the kernel's, ro above all, become these.
base::Result<> remount(const Options &options);

// Of what is mounted there, which is not asked: it may not serve yet. 0: can't be told.
dev_t device_at(const std::string &mountpoint);

// Another descriptor of the same connection, so that threads don't queue at one. Invalid where the kernel can't make one.
base::Fd clone_device(int device);

// The kernel asks for a node's attributes anew. May be called while the node is being worked on: no lock of it is taken.
void drop_cached_attributes(int device, uint64_t node_id);

// The kernel sends again what a dead worker read and did not answer (Linux 6.9).
void ask_to_resend(const FuseDevice &device);

void unmount_device(const Options &options);

}  // namespace unionfs
