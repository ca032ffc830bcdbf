// The user's terminal, restored at the end. QEMU makes it raw and its file description non-blocking, and leaves both that way
// when it is killed. `runvm console` makes the terminal raw itself.
#pragma once

#include <termios.h>

#include <array>

namespace hostside {

// `fd` is a terminal and we are in its foreground. In the background, reading or configuring the terminal would stop the
// process (termios(3), "job control").
bool at_terminal(int fd);

// A program, such as a test driver, holds the other end of standard input, so it may type into the guest's console.
bool somebody_may_type();

class Terminal {
  public:
    // Saves the state of standard input, output and error.
    Terminal();
    // Restores that state in all cases. In the background it leaves the settings alone, because other processes own them.
    ~Terminal();
    Terminal(const Terminal &) = delete;
    Terminal &operator=(const Terminal &) = delete;

    // Standard input is a terminal, and we are in its foreground.
    [[nodiscard]] bool interactive() const { return is_terminal_; }

    // Passes each key on as it is typed, without special keys. False: no terminal, or we are in its background.
    bool make_raw();

  private:
    std::array<int, 3> flags_{};
    termios settings_{};
    bool is_terminal_ = false;
};

}  // namespace hostside
