// A machine as a unit of systemd's, for `runvm export`. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hostside {

struct UnitWish {
    std::string name;                // the machine's
    std::vector<std::string> words;  // the command that runs it, runvm's path first
    std::string directory;           // from which relative paths in them are meant
    bool notify_ready = false;       // it has started when the guest says that it is ready
};

std::string systemd_unit(const UnitWish &wish);

// One word of a command as systemd reads it back: quoted, with no specifier, variable or escape in it (systemd.service(5),
// COMMAND LINES).
std::string unit_word(std::string_view word);

}  // namespace hostside
