// A person's terminal during a run. First a live line of the boot's phases; when stage 2 begins, or something fails, the
// guest's console: what it says is shown and what is typed is sent. QEMU itself has no hand on the terminal. The text
// before is kept for `runvm logs`, and shown after all when the boot failed or the person asks with Enter.
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
    // With `whole_console`, the console from its first word, and no line.
    explicit ConsoleView(bool whole_console);
    ~ConsoleView();
    ConsoleView(const ConsoleView &) = delete;
    ConsoleView &operator=(const ConsoleView &) = delete;

    void open_console(bool with_what_was_said);  // instead of the line, from now on
    void doing(std::string_view what);           // long work before QEMU starts
    void event(const RunEvent &event);
    void note(const std::string &text);        // a line for the person, between those of the rest
    void show(std::string_view console_text);  // what the guest's console said
    void connect(const std::string &fifo);     // QEMU reads there what is typed
    void tick();                               // draws the line anew, shows what waited; every 100 ms while wants_ticks()
    [[nodiscard]] bool live() const { return live_; }
    // In the background of a shell we look whether we are back.
    [[nodiscard]] bool wants_ticks() const { return live_ || !notes_.empty() || !is_raw_; }
    // What is typed is the shell's while we are in its background; who reads it is stopped.
    [[nodiscard]] int input_fd() const { return input_ended_ || !at_terminal(STDIN_FILENO) ? -1 : STDIN_FILENO; }
    void resume() { is_raw_ = false; }  // a shell that stopped us has set the terminal as it wants it
    void type();                        // input_fd() is readable

  private:
    void erase_line() const;
    void put_console(std::string_view text);
    void put_notes();
    [[nodiscard]] double now_s() const;

    Terminal terminal_;
    PhaseLine line_;
    std::string held_;   // console text that was not shown, its last part
    base::Fd typed_;     // the FIFO
    std::string notes_;  // that wait for the end of the guest's line, the first since `noted_s_`
    double noted_s_ = 0;
    bool live_ = true, input_ended_ = false, mid_line_ = false, is_raw_ = false;
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace hostside
