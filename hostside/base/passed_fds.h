// Passes descriptors with a message through a Unix socket (unix(7), SCM_RIGHTS).
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace hostside {

struct Passed {
    std::string bytes;  // empty: the peer closed the socket
    std::vector<base::Fd> fds;
};

// Sends one message with `bytes` (at least one) and copies of `fds`. Error: the peer is gone.
base::Result<> send_fds(int socket, std::span<const int> fds, std::string_view bytes);

// Receives one message, truncated at limit_bytes. The kernel closes descriptors beyond most_fds.
base::Result<Passed> receive_fds(int socket, size_t limit_bytes, size_t most_fds);

}  // namespace hostside
