// A host for fleets, with a script in place of the launcher, and the processes of a fleet there.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "hostside/fleet/fleet.h"
#include "tests/support/disk.h"

namespace fleet_test {

// `script` is for sh.
hostside::Node machine(const std::string &name, const std::string &script, std::vector<int> vlans = {});

class Host {
  public:
    Host();
    ~Host();
    Host(const Host &) = delete;
    Host &operator=(const Host &) = delete;

    [[nodiscard]] std::string path(const std::string &name) const { return scratch_.path(name); }
    void note(const std::string &line) const;
    [[nodiscard]] std::string log() const;
    [[nodiscard]] hostside::FleetResult results() const;

    // Runs in a separate process with its own children and signals. Its exit code is the signal that ended the fleet. `runvm`:
    // the launcher, if not the script.
    [[nodiscard]] pid_t launch(const hostside::Fleet &fleet, int processors = 4, bool fail_fast = false,
                               const std::string &runvm = {}) const;
    [[nodiscard]] int run(const hostside::Fleet &fleet, int processors = 4, bool fail_fast = false,
                          const std::string &runvm = {}) const;
    static int end_of(pid_t pid);  // waits for it; its exit code, or 128 + its signal

    // How long a machine took in an earlier run, in seconds.
    std::function<std::optional<double>(const std::string &)> known = [](const std::string &) { return std::nullopt; };

  private:
    support::ScratchDirectory scratch_;
};

bool within_a_minute(const std::function<bool()> &condition);

bool alive(pid_t pid);                                // a zombie is not
std::vector<pid_t> pids_in(const std::string &text);  // separated by blanks or line ends
std::vector<pid_t> children_of(pid_t pid);
bool is_program(pid_t pid, const std::string &program);
// Processes that run this program, whoever their parent is.
std::vector<pid_t> started_as(const std::string &program);

}  // namespace fleet_test
