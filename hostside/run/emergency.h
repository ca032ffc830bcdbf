// Notices on the guest's console that its systemd fell into emergency mode, where it waits for a person. Pure; what else prints
// a line that begins with those words passes for it.
#pragma once

#include <string>
#include <string_view>

namespace hostside {

class EmergencyWatch {
  public:
    // What the console says next. True: among it, or before, was the line.
    bool take(std::string_view text);

  private:
    std::string line_;  // its beginning
    bool seen_ = false;
};

}  // namespace hostside
