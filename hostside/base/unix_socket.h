// Stream sockets in the file system. QEMU uses them for its monitor, its console and the status port.
#pragma once

#include <string>
#include <string_view>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace hostside {

base::Result<base::Fd> connect_unix(const std::string &path);
// Non-blocking. Replaces whatever is at the path.
base::Result<base::Fd> listen_unix(const std::string &path);

// Sends one command of QEMU's machine protocol over a new connection: the greeting, qmp_capabilities, then `command` (JSON).
// Returns the answer's line and skips events. Error: no answer within 5 s.
base::Result<std::string> qmp(const std::string &path, std::string_view command);

}  // namespace hostside
