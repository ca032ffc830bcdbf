// A virtual switch between machines of one user, without root and without a process of its own. A vlan is a directory in which
// each machine has a datagram socket that takes one Ethernet frame at a time (QEMU, -netdev dgram). A machine's launcher
// forwards the frames of its guest to the sockets of the others. So no machine waits for another, and the vlan survives the end
// of any machine.
#pragma once

#include <memory>
#include <string>

#include "mounts/base/error.h"

namespace hostside {

class VlanPort {
  public:
    // Error: another machine has this number there (with its launcher's PID), or the path is too long for a socket.
    static base::Result<VlanPort> join(const std::string &runtime, int vlan, int node);
    // The error that `join` would return, as far as it can be predicted; makes nothing.
    static base::Result<> is_free(const std::string &runtime, int vlan, int node);
    VlanPort(VlanPort &&) noexcept;
    VlanPort &operator=(VlanPort &&) = delete;
    VlanPort(const VlanPort &) = delete;
    VlanPort &operator=(const VlanPort &) = delete;
    // Leaves the vlan and removes everything of this machine.
    ~VlanPort();

  private:
    class Forwarder;
    explicit VlanPort(std::unique_ptr<Forwarder> forwarder);
    std::unique_ptr<Forwarder> forwarder_;
};

}  // namespace hostside
