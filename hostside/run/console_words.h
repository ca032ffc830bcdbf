// What the end of a console log tells about why a boot ended or where it stands: a kernel panic, an initrd that could not be
// unpacked, systemd's emergency mode. Pure. The text is the guest's, which may have forged it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hostside {

struct ConsoleWords {
    std::string panic;                // the text after `Kernel panic - not syncing: `; empty: none
    std::optional<int> init_ended;    // the wait status of process 1, if its end caused the panic
    bool out_of_memory = false;       // the kernel killed processes or panicked because memory ran out
    std::vector<std::string> killed;  // the names of the first few killed processes, without duplicates
    std::string initrd_failure;       // the text after `Initramfs unpacking failed: `
    bool emergency = false;           // systemd waits for user input
    std::string failed_unit;          // systemd's line about the unit that failed
    std::string dependent_unit;       // systemd's next line about a unit that depends on it
    std::string last_line;            // the last line that is not blank; empty: no output
};

// `text`: see printable_lines().
ConsoleWords console_words(std::string_view text);

// Formats a wait status as printed by a kernel: `status 3`, `signal 11`.
std::string how_init_ended(int wait_status);

}  // namespace hostside
