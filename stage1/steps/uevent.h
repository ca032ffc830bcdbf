// Waiting for devices by the kernel's own messages (netlink(7), NETLINK_KOBJECT_UEVENT), never by sleeping.
#pragma once

#include <chrono>
#include <functional>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace stage1 {

class UeventSocket {
  public:
    // Listens from now on: open it before looking whether the device is there, and nothing is missed.
    static base::Result<UeventSocket> open();

    // Calls `ready` at once and after each message, until it returns true (→ true) or the time is over (→ false).
    base::Result<bool> wait_until(const std::function<bool()> &ready, std::chrono::milliseconds timeout);

  private:
    explicit UeventSocket(base::Fd fd) : fd_(std::move(fd)) {}
    base::Fd fd_;
};

}  // namespace stage1
