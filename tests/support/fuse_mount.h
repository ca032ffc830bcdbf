// A test's own FUSE file system: mounted, and served by a thread, until it goes out of scope.
#pragma once

#include <string>
#include <thread>

struct fuse_lowlevel_ops;
struct fuse_session;

namespace support {

class FuseMount {
  public:
    // Mounts on the empty directory `mount_point`. fuse_req_userdata(3) gives `userdata` to the operations; both must outlive
    // this.
    FuseMount(const fuse_lowlevel_ops &operations, void *userdata, std::string mount_point);
    FuseMount(const FuseMount &) = delete;
    FuseMount &operator=(const FuseMount &) = delete;
    ~FuseMount();

  private:
    std::string mount_point_;
    fuse_session *session_;
    std::thread thread_;
};

}  // namespace support
