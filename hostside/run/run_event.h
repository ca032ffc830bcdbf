// What happens in a run, as the launcher tells it: to a person as a sentence, to a program as a JSON line, to the terminal.
#pragma once

#include <string>
#include <string_view>

namespace hostside {

struct RunEvent {
    enum Kind {
        note,                // what a person would be told, in words
        progress,            // work that takes a while begins, in words
        started,             // QEMU runs; its process id
        phase,               // a phase of stage 1 begins; its name
        step,                // of stage 1, one that may take long; what it does
        waits,               // stage 1 waits for a device; its name, and the seconds that it does at most
        ready,               // the guest says that it is
        fork_point,          // stage 1 stops, to be saved
        guest_exit,          // the guest's own exit status
        stage1_failure,      // why, in words
        panic,               // the guest's kernel panicked
        disk_full,           // the host had no room for this disk of the guest's
        disk_error,          // the host could not read or write this disk of the guest's
        store_lost,          // what served the guest its store has ended; why, in words
        tpm_lost,            // the guest's TPM has ended; why, in words
        timeout,             // the time was up; the limit in seconds
        signal,              // the launcher was told to end; the signal
        qemu_said,           // a line of QEMU's own
        emergency,           // the guest's systemd waits for a person
        qemu_killed,         // a signal ended QEMU; the signal
        qemu_out_of_memory,  // the host's kernel says that it was for want of memory
        cause,               // why the run ended as it did, in one line
        exit,                // the last one: the exit code of runvm
    } kind;
    std::string text{};  // printable, whoever said it
    int number = 0;      // of those that have one
};

// As `runvm run --json` writes it: `guest-exit` and so on (runvm(1), EVENTS).
std::string_view name(RunEvent::Kind kind);

// The number or the text, whichever this kind has.
std::string detail(const RunEvent &event);

}  // namespace hostside
