// Running QEMU and hearing how the guest fared: the status port, QMP's events, and QEMU's own end.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace hostside {

// runvm's exit codes beside the guest's own (0 to 119).
enum ExitCode : int {
    exit_stage1_failed = 120,
    exit_guest_panic = 121,
    exit_timeout = 122,
    exit_qemu_failed = 123,
    exit_launcher_error = 124,
};

struct Outcome {
    int exit_code = 0;
    std::string message;  // empty: nothing to say
};

// Two socket pairs, made before the argv is: QEMU's ends are inherited by number.
struct Ports {
    base::Fd status, status_qemu, qmp, qmp_qemu;
};
base::Result<Ports> make_ports();

struct SuperviseOptions {
    std::optional<std::chrono::seconds> timeout;
    bool stop_on_status = true;  // an exit status or a failure of stage 1 ends the machine
};

// Starts QEMU, answers what the guest tells, and ends when QEMU has ended. QEMU dies with us. Error: QEMU could not be
// started.
base::Result<Outcome> supervise(const std::vector<std::string> &argv, Ports ports, const SuperviseOptions &options);

}  // namespace hostside
