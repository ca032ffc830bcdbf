// A person's terminal during a run. At first it shows a live line with the boot's phases. When stage 2 begins or something
// fails, it becomes the guest's console, for output and input. QEMU itself does not touch the terminal. Earlier output is kept
// for `runvm logs`, and shown if the boot fails or the person presses Enter.
#pragma once

#include <unistd.h>

#include <chrono>
#include <string>
#include <string_view>

#include "hostside/run/phase_line.h"
#include "hostside/run/run_event.h"
#include "hostside/run/terminal.h"
#include "mounts/base/fd.h"

namespace hostside {

class ConsoleView {
  public:
    // `whole_console`: show the console from its first byte, without the line.
    explicit ConsoleView(bool whole_console);
    ~ConsoleView();
    ConsoleView(const ConsoleView &) = delete;
    ConsoleView &operator=(const ConsoleView &) = delete;

    void open_console(bool with_what_was_said);  // replaces the line from now on
    void doing(std::string_view what);           // long work before QEMU starts
    void event(const RunEvent &event);
    void note(const std::string &text);        // a line for the person, between other output
    void show(std::string_view console_text);  // output of the guest's console
    void connect(const std::string &fifo);     // the FIFO from which QEMU reads typed input
    void tick();                               // redraws the line, shows delayed notes; call every 100 ms while wants_ticks()
    [[nodiscard]] bool live() const { return live_; }
    // While the shell has us in the background, ticks check whether we are back in the foreground.
    [[nodiscard]] bool wants_ticks() const { return live_ || !notes_.empty() || !is_raw_; }
    // In the background, typed input belongs to the shell, and reading it would stop us.
    [[nodiscard]] int input_fd() const { return input_ended_ || !at_terminal(STDIN_FILENO) ? -1 : STDIN_FILENO; }
    void resume() { is_raw_ = false; }  // the shell that stopped us has changed the terminal's settings
    void type();                        // call when input_fd() is readable

  private:
    void erase_line() const;
    void put_console(std::string_view text);
    void put_notes();
    [[nodiscard]] double now_s() const;

    Terminal terminal_;
    PhaseLine line_;
    std::string held_;   // the last part of the console text that was not shown
    base::Fd typed_;     // the FIFO
    std::string notes_;  // wait for the end of the guest's line; the first came at `noted_s_`
    double noted_s_ = 0;
    bool live_ = true, input_ended_ = false, mid_line_ = false, is_raw_ = false;
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace hostside
