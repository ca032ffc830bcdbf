// Serves the console of a background machine to one `runvm console` at a time. QEMU's own socket duplicates characters for a
// slow reader (typed_pipe.h). This server drops and reports what exceeds a limit, and never blocks others.
#pragma once

#include <poll.h>

#include <array>
#include <span>
#include <string>
#include <string_view>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace hostside {

class ConsoleServer {
  public:
    // Listens on the console socket in that directory.
    static base::Result<ConsoleServer> listen(const std::string &run_directory);

    // Call when QEMU has opened the FIFO, which receives typed input.
    void connect(const std::string &fifo);
    void show(std::string_view console_text);

    // What to poll, and what to do with the result.
    static constexpr size_t descriptors = 3;
    [[nodiscard]] std::array<pollfd, descriptors> wanted() const;
    void serve(std::span<const pollfd> polled);

    // The machine is gone: gives the reader a moment to take the rest.
    void finish();

  private:
    explicit ConsoleServer(base::Fd listener) : listener_(std::move(listener)) {}
    void take_typed();
    void pass_typed();
    void send_waiting();

    base::Fd listener_, client_, typed_;
    std::string to_client_, to_guest_;
    size_t left_out_bytes_ = 0;
};

}  // namespace hostside
