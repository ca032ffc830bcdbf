// A user's environment on the host for tests of runvm's commands: a runtime directory, a disk image and a shared directory.
//
//     Place place("touch /tmp/shared/up; sleep 1000");
//     place.runvm({"start", "--name", "web"});     run and start add the machine's flags
//     place.wait_for("up");
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <string>
#include <vector>

#include "mounts/base/process.h"

namespace boot_test {

class Place {
  public:
    // `script`: what the guest's stage 2 runs (from /tmp/shared/cmd).
    explicit Place(const std::string &script = "");
    Place(const Place &) = delete;
    Place &operator=(const Place &) = delete;
    // Ends the remaining machines.
    ~Place();

    [[nodiscard]] std::string directory() const { return directory_; }
    [[nodiscard]] std::string runtime() const { return directory_ + "/run/runvm"; }
    [[nodiscard]] std::string disk() const { return directory_ + "/disk.qcow2"; }
    [[nodiscard]] std::string shared() const { return directory_ + "/shared"; }

    // The arguments for `env`: this place's environment, and the fixture's flags for run and start.
    [[nodiscard]] std::vector<std::string> words(std::vector<std::string> arguments) const;
    [[nodiscard]] base::Exit runvm(std::vector<std::string> arguments) const;
    // Does not wait; returns the pid. The output goes to output().
    [[nodiscard]] pid_t launch(std::vector<std::string> arguments) const;
    [[nodiscard]] std::string output() const;

    // Waits until the guest has made this file in the shared directory, and returns its content. Fails the test after two
    // minutes.
    std::string wait_for(const std::string &name) const;
    // The launcher's pid from `runvm status`; waits until there is one.
    pid_t holder(const std::string &name) const;
    // QEMU's pid: the launcher's child.
    static pid_t qemu_of(pid_t launcher);

    // Arguments before env, for example to become another user.
    std::vector<std::string> before{};

  private:
    std::string directory_;
};

bool alive(pid_t pid);
// Polls for up to `seconds`.
bool within(int seconds, const auto &condition);
void pause_ms(int milliseconds);

// A free port on the host's loopback interface.
int free_port(int type = SOCK_STREAM);

// The exit code of a child process.
int wait_for_end(pid_t pid);

bool within(int seconds, const auto &condition) {
    for (int i = 0; i < seconds * 20; ++i) {
        if (condition()) return true;
        pause_ms(50);
    }
    return false;
}

}  // namespace boot_test
