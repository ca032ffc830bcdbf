// QEMU's events (QEMU, "QMP Reference Manual", events): the guest panicked (pvpanic) or asked to end, a disk of the host failed
// or is full, a port was closed. Uses its own monitor, so that `runvm qmp` can have the other one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hostside/base/line_reader.h"
#include "mounts/base/fd.h"

namespace hostside {

inline constexpr size_t event_limit_bytes = size_t{1} << 20;  // per line of the monitor

struct QemuEvent {
    // power_off, reset: the guest asked for it, and QEMU ends.
    // port_closed: no process in the guest has the virtio port open any more.
    enum Kind { panic, power_off, reset, disk_full, disk_error, port_closed, other } kind = other;
    std::string device{};  // drive of disk_full and disk_error, port of port_closed; QEMU's name for it, printable
};

// Parses a line of the monitor. Pure.
QemuEvent parse_event(std::string_view line);

class QemuEvents {
  public:
    // `socket`: connected to QEMU's monitor. Events begin when QEMU has read our greeting.
    explicit QemuEvents(base::Fd socket);
    [[nodiscard]] int fd() const { return socket_.get(); }

    // Returns the events of one read, without `other`. Never blocks. fd() is -1 after QEMU closed the socket.
    std::vector<QemuEvent> receive();

  private:
    base::Fd socket_;
    LineReader lines_{event_limit_bytes};
};

}  // namespace hostside
