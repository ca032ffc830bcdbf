// What a run reports on standard error: sentences for people, or events as JSON lines for programs.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "hostside/run/console_view.h"
#include "hostside/run/run_event.h"
#include "mounts/base/error.h"

namespace hostside {

// Prints one line for a person, `runvm: TEXT`. The line is printable, whatever foreign names and labels the text contains.
void say(const std::string &text);

// Prints the error; returns the exit code of a failed launcher.
int refuse(const base::Error &error);

// Writes a command's result to standard output. Returns 0; if it can't be written, the exit code of a failed launcher, after the
// reason.
int print_result(const std::string &text);

// Prints a run's last words (ending.h). The first line is colored if the terminal supports it (NO_COLOR, TERM=dumb: no color).
void say_last(const std::vector<std::string> &lines);

class Reporter {
  public:
    // `view`: the terminal that then shows the lines. It may be destroyed before the reporter; see without_view().
    Reporter(bool json, ConsoleView *view, bool quiet = false) : json_(json), quiet_(quiet), view_(view) {}
    void without_view() { view_ = nullptr; }

    void event(const RunEvent &event) const;
    void note(const std::string &text) const;
    // Reports why there is no run, as a line or as the last events; returns the exit code of a failed launcher.
    [[nodiscard]] int refuse(const base::Error &error) const;
    [[nodiscard]] double seconds() const;  // since the launcher's start
    // Announces work that takes a while: "making the initrd".
    void progress(const std::string &text) const;

  private:
    bool json_, quiet_;
    ConsoleView *view_;
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace hostside
