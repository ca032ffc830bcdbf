// Detects on the guest's console that its systemd is in emergency mode, where it waits for user input. Pure. Other output with
// a line that begins with the same words also matches.
#pragma once

#include <string>
#include <string_view>

namespace hostside {

class EmergencyWatch {
  public:
    // Takes the next console text. True: this text or an earlier one contained the line.
    bool take(std::string_view text);

  private:
    std::string line_;  // the beginning of the current line
    bool seen_ = false;
};

}  // namespace hostside
