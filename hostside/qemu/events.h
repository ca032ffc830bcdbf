// What QEMU tells of its own accord (QEMU, "QMP Reference Manual", events): a guest that panicked through its pvpanic
// device or asked for its end, a disk of the host that took no more, a port that was closed. Listened to over a monitor of its
// own, so that `runvm qmp` has the other.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hostside/base/line_reader.h"
#include "mounts/base/fd.h"

namespace hostside {

inline constexpr size_t event_limit_bytes = size_t{1} << 20;  // of a line of the monitor's

struct QemuEvent {
    // power_off, reset: what the guest asked for and QEMU ends with.
    // port_closed: no process in the guest has the virtio port open any more.
    enum Kind { panic, power_off, reset, disk_full, disk_error, port_closed, other } kind = other;
    std::string device{};  // of disk_full and disk_error the drive, of port_closed the port, as QEMU names it; printable
};

// A line of the monitor. Pure.
QemuEvent parse_event(std::string_view line);

class QemuEvents {
  public:
    // `socket`: connected to QEMU's monitor; events begin once QEMU has read our greeting.
    explicit QemuEvents(base::Fd socket);
    [[nodiscard]] int fd() const { return socket_.get(); }

    // What one read brings, `other` left out. Never blocks; fd() is -1 after QEMU closed.
    std::vector<QemuEvent> receive();

  private:
    base::Fd socket_;
    LineReader lines_{event_limit_bytes};
};

}  // namespace hostside
