// What a run tells about itself on standard error: sentences for people, or events as JSON lines for programs.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "hostside/run/console_view.h"
#include "hostside/run/run_event.h"
#include "mounts/base/error.h"

namespace hostside {

// One line for a person: `runvm: TEXT`, printable, whatever names and labels of others are in it.
void say(const std::string &text);

// Says the error; returns the exit code of a launcher that failed.
int refuse(const base::Error &error);

// The last words of a run (ending.h); the first line in colour where a terminal has it (NO_COLOR, TERM=dumb: none).
void say_last(const std::vector<std::string> &lines);

class Reporter {
  public:
    // `view`: a person's terminal, which has the lines then. It may go before us; see without_view().
    Reporter(bool json, ConsoleView *view, bool quiet = false) : json_(json), quiet_(quiet), view_(view) {}
    void without_view() { view_ = nullptr; }

    void event(const RunEvent &event) const;
    void note(const std::string &text) const;
    [[nodiscard]] double seconds() const;  // since the launcher's start
    // Work that takes a while begins: "making the initrd".
    void progress(const std::string &text) const;

  private:
    bool json_, quiet_;
    ConsoleView *view_;
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace hostside
