// A virtual switch between machines of one user, without root and without a process of its own: a vlan is a directory, and in
// it each machine has a socket of datagrams, one Ethernet frame each (QEMU, -netdev dgram). A machine's launcher takes what
// its guest sends and puts it into the sockets of the others. So no machine waits for another, and none that ends takes the
// vlan along.
#pragma once

#include <memory>
#include <string>

#include "mounts/base/error.h"

namespace hostside {

class VlanPort {
  public:
    // Error: another machine has this number there, with its launcher's pid; a directory too long for a socket.
    static base::Result<VlanPort> join(const std::string &runtime, int vlan, int node);
    // The error that `join` would give, as far as it can be known; makes nothing.
    static base::Result<> is_free(const std::string &runtime, int vlan, int node);
    VlanPort(VlanPort &&) noexcept;
    VlanPort &operator=(VlanPort &&) = delete;
    VlanPort(const VlanPort &) = delete;
    VlanPort &operator=(const VlanPort &) = delete;
    // Leaves; nothing of it stays.
    ~VlanPort();

  private:
    class Forwarder;
    explicit VlanPort(std::unique_ptr<Forwarder> forwarder);
    std::unique_ptr<Forwarder> forwarder_;
};

}  // namespace hostside
