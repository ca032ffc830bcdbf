// A pseudo terminal: the test plays the person at the keyboard, the program runs on the other side.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "mounts/base/fd.h"

namespace support {

struct Session {
    int exit_code = -1;
    std::string screen;  // everything sent to the terminal
};

// Runs a program to its end, in a session of its own on such a terminal. Types `answer` when `question` appears.
Session at_a_terminal(const std::vector<std::string> &argv, const std::string &question = {}, const std::string &answer = {});

class Terminal {
  public:
    Terminal();  // throws std::system_error

    [[nodiscard]] const std::string &path() const { return path_; }
    // The program's side, for its descriptors 0 to 2. Also kept open here, so that the terminal never hangs up.
    [[nodiscard]] int program_side() const { return program_side_.get(); }

    // Waits until `text` appears after the text that earlier calls waited for. False: timeout, or `ended` became true.
    bool wait_for(const std::string &text, int timeout_s, const std::function<bool()> &ended);
    // Reads the output that is available now.
    void listen(int timeout_ms);
    void type(const std::string &text) const;
    // Normalizes line ends to a newline.
    [[nodiscard]] const std::string &said() const { return said_; }

  private:
    base::Fd ours_;
    base::Fd program_side_;
    std::string path_;
    std::string said_;
    size_t waited_for_ = 0;
};

}  // namespace support
