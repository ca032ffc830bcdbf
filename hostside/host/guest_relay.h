// Relays a guest's connections to ports of the host (forwardPorts from the guest), all in one thread of the launcher. QEMU's
// user network starts a program for each connection. That program hands the connection over and exits, so that a guest that
// opens thousands has at most `most` of them at a time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "mounts/base/error.h"

namespace hostside {

class GuestRelay {
  public:
    static constexpr size_t most = 64;  // simultaneous connections; further ones are closed

    // Listens at `path`. `targets`: "ADDRESS PORT" each; the relay connects to no others.
    static base::Result<GuestRelay> listen(const std::string &path, std::vector<std::string> targets);
    GuestRelay(GuestRelay &&) noexcept;
    GuestRelay &operator=(GuestRelay &&) = delete;
    GuestRelay(const GuestRelay &) = delete;
    GuestRelay &operator=(const GuestRelay &) = delete;
    ~GuestRelay();

  private:
    class Thread;
    explicit GuestRelay(std::unique_ptr<Thread> thread);
    std::unique_ptr<Thread> thread_;
};

// Passes `connection` to the relay that listens at `path`. Error: no relay listens there.
base::Result<> hand_over(const std::string &path, const std::string &target, int connection);

}  // namespace hostside
