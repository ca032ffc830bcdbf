// A running machine of a fleet: a separate process, `runvm run`, `runvm exec` with the machine's command, or `runvm snapshot`, so
// that a crash affects only this machine. Its output goes into a file in its directory.
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
        std::string directory;  // for this machine's results; empty at first
        std::string runtime;    // XDG_RUNTIME_DIR, shared with the machines on its vlans
    };
    static base::Result<MachineProcess> start(const Node &node, Place place);

    // Poll it for reading; -1: no more output.
    [[nodiscard]] int output_fd() const { return output_.get(); }
    void take_output();
    [[nodiscard]] pid_t pid() const { return pid_; }
    void exited(int code);
    // It has ended, and so have all processes that it started.
    [[nodiscard]] bool over() const;
    // Asks it to end. A later call kills it after a grace period.
    void end();
    [[nodiscard]] bool ending() const { return asked_at_.has_value(); }
    // The progress, as shown by `runvm status`.
    [[nodiscard]] std::string state() const;
    [[nodiscard]] double seconds() const;

    struct End {
        int exit_code = -1;
        std::string cause, state;
    };
    // Call it when the machine is over. Moves console and report into its directory and removes what only a running machine
    // needs.
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

// The end of a machine's output.
std::string said_last(const std::string &machine_directory);

}  // namespace hostside
