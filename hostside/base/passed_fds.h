// Descriptors that go through a Unix socket with a message (unix(7), SCM_RIGHTS).
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
    std::string bytes;  // empty: the other end closed
    std::vector<base::Fd> fds;
};

// One message of `bytes`, at least one, with copies of `fds`. Error: the other end is gone.
base::Result<> send_fds(int socket, std::span<const int> fds, std::string_view bytes);

// One message, cut at limit_bytes. The kernel closes what comes beyond most_fds.
base::Result<Passed> receive_fds(int socket, size_t limit_bytes, size_t most_fds);

}  // namespace hostside
