// Events of a run. The launcher reports them to a person as sentences, to programs as JSON lines, and to the terminal.
#pragma once

#include <string>
#include <string_view>

namespace hostside {

struct RunEvent {
    enum Kind {
        note,                // a message for a person
        progress,            // work that takes a while begins; a description
        started,             // QEMU runs; its process ID
        phase,               // a phase of stage 1 begins; its name
        step,                // a step of stage 1 that may take long; a description
        waits,               // stage 1 waits for a device; its name and the limit in seconds
        ready,               // the guest reported that it is ready
        fork_point,          // stage 1 stops so that the machine can be saved
        guest_exit,          // the guest's own exit status
        stage1_failure,      // the reason
        panic,               // the guest's kernel panicked
        disk_full,           // the host had no room for this guest disk
        disk_error,          // the host could not read or write this guest disk
        store_lost,          // the server of the guest's store ended; the reason
        share_lost,          // the server of a shared directory ended; its tag and the reason
        tpm_lost,            // the guest's TPM ended; the reason
        timeout,             // the time limit was reached; the limit in seconds
        signal,              // the launcher received a signal to end; the signal
        qemu_said,           // a line of QEMU's output
        emergency,           // the guest's systemd is in emergency mode
        qemu_killed,         // a signal ended QEMU; the signal
        qemu_out_of_memory,  // the host's kernel logged that the reason was lack of memory
        cause,               // why the run ended, in one line
        exit,                // the last event; runvm's exit code
    } kind;
    std::string text{};  // always printable
    int number = 0;      // for kinds with a number
};

// The event's name in `runvm run --json`: `guest-exit` and so on (runvm(1), EVENTS).
std::string_view name(RunEvent::Kind kind);

// The number or the text, depending on the kind.
std::string detail(const RunEvent &event);

}  // namespace hostside
