// A terminal of our own: we press the keys, the program on its other side talks to a person.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "mounts/base/fd.h"

namespace support {

struct Session {
    int exit_code = -1;
    std::string screen;  // all that the terminal was sent
};

// A program in a session of its own whose terminal is ours, to its end. Types `answer` when `question` was seen.
Session at_a_terminal(const std::vector<std::string> &argv, const std::string &question = {}, const std::string &answer = {});

class Terminal {
  public:
    Terminal();  // throws std::system_error

    [[nodiscard]] const std::string &path() const { return path_; }
    // The program's side, for its descriptors 0 to 2. Held here too, so that it never hangs up.
    [[nodiscard]] int program_side() const { return program_side_.get(); }

    // Waits until `text` was said after what earlier calls waited for. False: not within the time, or `ended` became true.
    bool wait_for(const std::string &text, int timeout_s, const std::function<bool()> &ended);
    // Takes in what was said up to now.
    void listen(int timeout_ms);
    void type(const std::string &text) const;
    // Lines end with a newline alone.
    [[nodiscard]] const std::string &said() const { return said_; }

  private:
    base::Fd ours_;
    base::Fd program_side_;
    std::string path_;
    std::string said_;
    size_t waited_for_ = 0;
};

}  // namespace support
