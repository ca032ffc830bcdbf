// A connection to QEMU over its machine protocol, for tasks that take several commands. Descriptors that are passed to QEMU
// belong to the connection that passed them.
#pragma once

#include <string>
#include <string_view>

#include "hostside/base/line_reader.h"
#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace hostside {

class Monitor {
  public:
    // ENOENT and ECONNREFUSED: QEMU doesn't listen yet.
    static base::Result<Monitor> connect(const std::string &path);

    // `arguments`: a JSON object, or empty. Returns the answer's `return` as JSON. Error: QEMU's message.
    base::Result<std::string> execute(std::string_view command, std::string_view arguments = {}, int descriptor = -1);

  private:
    Monitor(base::Fd socket, std::string path) : socket_(std::move(socket)), path_(std::move(path)) {}
    base::Result<std::string> line();

    base::Fd socket_;
    std::string path_, buffer_;
};

}  // namespace hostside
