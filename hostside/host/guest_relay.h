// Connections of a guest to ports of the host (forwardPorts from the guest), all through one thread of the launcher. QEMU's user
// network starts a program for each connection; that program hands the connection over and ends, so that a guest which opens
// thousands costs no more than `most` of them at a time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "mounts/base/error.h"

namespace hostside {

class GuestRelay {
  public:
    static constexpr size_t most = 64;  // connections at a time; a further one is closed

    // Listens at `path`. `targets`: "ADDRESS PORT" each; no other is connected to.
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

// Gives `connection` to the relay that listens at `path`. Error: none does.
base::Result<> hand_over(const std::string &path, const std::string &target, int connection);

}  // namespace hostside
