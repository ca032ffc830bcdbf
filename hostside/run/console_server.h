// The console of a machine in the background, for one `runvm console` at a time. QEMU's own socket would do, but doubles what its
// reader is late for (typed_pipe.h). Here a late reader misses what is more than a bound, is told so, and holds up nobody.
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
    // On the console's socket in that directory.
    static base::Result<ConsoleServer> listen(const std::string &run_directory);

    // QEMU has opened the FIFO, to which goes what is typed.
    void connect(const std::string &fifo);
    void show(std::string_view console_text);

    // What to wait for, and what to do when it came.
    static constexpr size_t descriptors = 3;
    [[nodiscard]] std::array<pollfd, descriptors> wanted() const;
    void serve(std::span<const pollfd> polled);

    // The machine is gone: whoever reads has a moment to take the rest.
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
