// A conversation with QEMU over its machine protocol, for what takes more than one command: descriptors that are handed over
// belong to the connection that brought them.
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

    // `arguments`: a JSON object, or nothing. The answer's `return`, as JSON. Error: QEMU's own words.
    base::Result<std::string> execute(std::string_view command, std::string_view arguments = {}, int descriptor = -1);

  private:
    Monitor(base::Fd socket, std::string path) : socket_(std::move(socket)), path_(std::move(path)) {}
    base::Result<std::string> line();

    base::Fd socket_;
    std::string path_, buffer_;
};

}  // namespace hostside
