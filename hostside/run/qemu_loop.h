// Handles everything that happens while QEMU runs: the guest's status lines, QEMU's events, the console, the user's keys,
// signals, lost companions and time limits.
#pragma once

#include <chrono>
#include <optional>
#include <set>
#include <string>

#include "hostside/base/exit_code.h"
#include "hostside/base/signals.h"
#include "hostside/qemu/events.h"
#include "hostside/run/companion_watch.h"
#include "hostside/run/emergency.h"
#include "hostside/run/port_report.h"
#include "hostside/run/qemu_end.h"
#include "hostside/run/status_port.h"
#include "hostside/run/supervise.h"
#include "mounts/base/fd.h"
#include "mounts/base/process.h"

namespace hostside {

class QemuLoop {
  public:
    // `supervision` must outlive this. `interactive`: a user is at the terminal, where the guest shows its own prompts.
    QemuLoop(const Supervision &supervision, base::Child qemu, bool interactive);

    // Handles events until QEMU ends. Returns runvm's exit code.
    int to_the_end(const Signals &signals);

  private:
    using Clock = std::chrono::steady_clock;

    void report(const RunEvent &event) const;
    void conclude(int code);
    void connect();
    [[nodiscard]] int wait_ms() const;
    void take_status();
    void take_console();
    void check_emergency();
    void take_news();
    void take_qemu_output();
    void take_events();
    void take_signals(const Signals &signals);
    void check_companions();
    void check_time();
    void end_qemu(int code);
    int ended(int qemu_status);
    QemuEnd facts(int qemu_status);

    const Supervision &supervision_;
    pid_t qemu_;
    base::Fd qemu_output_;
    std::string qemu_said_;
    bool interactive_, connected_ = false, panicked_ = false, is_ready_ = false, in_emergency_ = false;
    EmergencyWatch emergency_watch_;
    std::string stage1_phase_;                // the current phase of stage 1; empty: none reported, or stage 1 is done
    QemuEvent::Kind end_ = QemuEvent::other;  // what the guest requested
    PortReport port_report_{supervision_.run_directory};
    StatusPort status_{base::Fd()};
    QemuEvents events_{base::Fd()};
    std::set<std::string> failed_disks_;
    std::optional<int> code_;
    int news_ = supervision_.news;
    std::optional<Clock::time_point> deadline_, kill_at_, emergency_at_;
    CompanionWatch companions_{supervision_.companions};
};

}  // namespace hostside
