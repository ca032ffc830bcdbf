#include "tests/support/fuse_mount.h"

#include <sys/mount.h>

#include <stdexcept>
#include <utility>

#define FUSE_USE_VERSION 317
#include <fuse3/fuse_lowlevel.h>

namespace support {

FuseMount::FuseMount(const fuse_lowlevel_ops &operations, void *userdata, std::string mount_point)
    : mount_point_(std::move(mount_point)) {
    std::string name = "test";
    char *argv[] = {name.data(), nullptr};
    fuse_args arguments = FUSE_ARGS_INIT(1, argv);
    session_ = ::fuse_session_new(&arguments, &operations, sizeof operations, userdata);
    ::fuse_opt_free_args(&arguments);
    if (session_ == nullptr || ::fuse_session_mount(session_, mount_point_.c_str()) != 0)
        throw std::runtime_error("mount a FUSE file system on " + mount_point_);
    thread_ = std::thread([session = session_] { (void)::fuse_session_loop(session); });
}

FuseMount::~FuseMount() {
    // Force the unmount: a copy of the mount may survive in another mount namespace, and the loop would never end. The loop
    // sees an error and ends; only then is it safe to close its descriptor.
    ::fuse_session_exit(session_);
    (void)::umount2(mount_point_.c_str(), MNT_DETACH | MNT_FORCE);
    thread_.join();
    ::fuse_session_unmount(session_);
    ::fuse_session_destroy(session_);
}

}  // namespace support
