// A machine as a systemd unit, for `runvm export`. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hostside {

struct UnitWish {
    std::string name;                // the machine's
    std::vector<std::string> words;  // the command that runs it, runvm's path first
    std::string directory;           // base of relative paths in `words`
    bool notify_ready = false;       // the unit counts as started when the guest reports that it is ready
};

std::string systemd_unit(const UnitWish &wish);

// Quotes one word of a command for systemd, so that it contains no specifier, variable or escape (systemd.service(5), COMMAND
// LINES).
std::string unit_word(std::string_view word);

}  // namespace hostside
