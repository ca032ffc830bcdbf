// Waits for devices with the kernel's messages (netlink(7), NETLINK_KOBJECT_UEVENT) instead of sleeping.
#pragma once

#include <chrono>
#include <functional>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace stage1 {

class UeventSocket {
  public:
    // Starts listening. Open it before looking for the device, so that no message is missed.
    static base::Result<UeventSocket> open();

    // Calls `ready` now and after each message until it returns true (→ true) or the timeout ends (→ false).
    base::Result<bool> wait_until(const std::function<bool()> &ready, std::chrono::milliseconds timeout);

  private:
    explicit UeventSocket(base::Fd fd) : fd_(std::move(fd)) {}
    base::Fd fd_;
};

}  // namespace stage1
