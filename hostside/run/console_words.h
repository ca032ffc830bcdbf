// What a console's last words say of why a boot ended, or where it stands: a kernel's panic, an initrd that was not unpacked,
// systemd's emergency mode. Pure; the words are a guest's, and it may have made them up.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hostside {

struct ConsoleWords {
    std::string panic;                // what stands behind `Kernel panic - not syncing: `; empty: none
    std::optional<int> init_ended;    // the wait status of process 1 whose end was the panic
    bool out_of_memory = false;       // the kernel ended processes, or itself, for want of memory
    std::vector<std::string> killed;  // the names of those processes, each once, the first few
    std::string initrd_failure;       // what stands behind `Initramfs unpacking failed: `
    bool emergency = false;           // systemd waits for a person
    std::string failed_unit;          // systemd's line of what led there
    std::string last_line;            // that is no blank; empty: nothing was said
};

// `text`: see printable_lines().
ConsoleWords console_words(std::string_view text);

// `status 3`, `signal 11`: of a wait status as a kernel prints it.
std::string how_init_ended(int wait_status);

}  // namespace hostside
