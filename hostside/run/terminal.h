// The terminal that a person sits at, put back as it was found. QEMU sets it raw and its file description non-blocking,
// and leaves both so when it is killed; the console verb sets it raw itself.
#pragma once

#include <termios.h>

#include <array>

namespace hostside {

// `fd` is a terminal, and we are the ones whom its keys reach: not in the background of a shell, where reading from it and
// setting it stops a program (termios(3), "job control").
bool at_terminal(int fd);

class Terminal {
  public:
    // Remembers how standard input, output and error are.
    Terminal();
    // Restores that, whatever happened in between; in the background the settings are those of others.
    ~Terminal();
    Terminal(const Terminal &) = delete;
    Terminal &operator=(const Terminal &) = delete;

    // Somebody sits at standard input, and we are not in the background there.
    [[nodiscard]] bool interactive() const { return is_terminal_; }

    // Each key as it is typed, none with a meaning. False: there is no terminal, or we are in the background there.
    bool make_raw();

  private:
    std::array<int, 3> flags_{};
    termios settings_{};
    bool is_terminal_ = false;
};

}  // namespace hostside
