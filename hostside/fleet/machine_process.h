// One machine of a fleet while it runs: a `runvm run`, or `runvm exec` with the machine's command, as a process of its own, so
// that one that crashes harms nobody. What it says goes into a file of its directory.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

#include "hostside/fleet/fleet_file.h"
#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace hostside {

class MachineProcess {
  public:
    struct Place {
        std::string runvm;      // the program
        std::string directory;  // of this machine's results, empty
        std::string runtime;    // XDG_RUNTIME_DIR, which it shares with those on its vlans
    };
    static base::Result<MachineProcess> start(const Node &node, Place place);

    // To be polled for reading; -1: it says nothing any more.
    [[nodiscard]] int output_fd() const { return output_.get(); }
    void take_output();
    [[nodiscard]] pid_t pid() const { return pid_; }
    void exited(int code);
    // It has ended, and so has all that it had started.
    [[nodiscard]] bool over() const;
    // Asks it to end; insists after some seconds when it is asked again.
    void end();
    [[nodiscard]] bool ending() const { return asked_at_.has_value(); }
    // How far it came, as `runvm status` tells it.
    [[nodiscard]] std::string state() const;
    [[nodiscard]] double seconds() const;

    struct End {
        int exit_code = -1;
        std::string cause, state;
    };
    // When it is over: console and report into its directory; what only a running machine needs goes.
    End collect();

  private:
    using Clock = std::chrono::steady_clock;
    MachineProcess(Place place, const Node &node, pid_t pid, base::Fd output, base::Fd file)
        : place_(std::move(place)),
          name_(node.name),
          has_command_(!node.command.empty()),
          pid_(pid),
          output_(std::move(output)),
          file_(std::move(file)) {}
    [[nodiscard]] std::string run_directory() const { return place_.runtime + "/runvm/" + name_; }
    [[nodiscard]] std::string cause_of(int recorded_code, const std::string &recorded) const;
    [[nodiscard]] std::string last_words() const;

    Place place_;
    std::string name_;
    bool has_command_;
    pid_t pid_;
    base::Fd output_, file_;
    size_t written_bytes_ = 0;
    int exit_code_ = -1;
    Clock::time_point started_ = Clock::now();
    std::optional<Clock::time_point> asked_at_, exited_at_;
};

// The end of what a machine said.
std::string said_last(const std::string &machine_directory);

}  // namespace hostside
