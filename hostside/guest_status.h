// What a guest says on its status port, line by line (mounts/protocol.h). Pure, and wary: the guest is not trusted.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hostside {

struct GuestStatus {
    enum class Kind { exit, stage1_failed, ready } kind;
    int code = 0;      // of exit, 0 to 119; more is 119
    std::string text;  // of stage1_failed, printable, bounded
};

class StatusLines {
  public:
    // Takes bytes as they come; whole lines that mean something come out. A line beyond 4 KiB is cut, not kept.
    std::vector<GuestStatus> feed(std::string_view bytes);

  private:
    std::string line_;
};

// Control characters from a guest would play with the terminal.
std::string printable(std::string_view text);

}  // namespace hostside
