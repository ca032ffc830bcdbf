// A user's place on the host for tests of runvm's verbs: a runtime directory, a disk image, a shared directory of its own.
//
//     Place place("touch /tmp/shared/up; sleep 1000");
//     place.runvm({"start", "--name", "web"});     the machine's flags come by themselves with run and start
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
    // Ends the machines that are left.
    ~Place();

    [[nodiscard]] std::string directory() const { return directory_; }
    [[nodiscard]] std::string runtime() const { return directory_ + "/run/runvm"; }
    [[nodiscard]] std::string disk() const { return directory_ + "/disk.qcow2"; }
    [[nodiscard]] std::string shared() const { return directory_ + "/shared"; }

    // As `env` runs it: with this place's environment, and for run and start with the fixture's flags.
    [[nodiscard]] std::vector<std::string> words(std::vector<std::string> arguments) const;
    [[nodiscard]] base::Exit runvm(std::vector<std::string> arguments) const;
    // Not waited for; its pid. What it says is in output().
    [[nodiscard]] pid_t launch(std::vector<std::string> arguments) const;
    [[nodiscard]] std::string output() const;

    // A file of the shared directory, with its content, once the guest has made it. Fails the test after two minutes.
    std::string wait_for(const std::string &name) const;
    // The launcher's pid, as `runvm status` tells it; waits until it does.
    pid_t holder(const std::string &name) const;
    // QEMU's pid: the launcher's child.
    static pid_t qemu_of(pid_t launcher);

    // Words before env: to be another user, say.
    std::vector<std::string> before{};

  private:
    std::string directory_;
};

bool alive(pid_t pid);
// Polls for up to `seconds`.
bool within(int seconds, const auto &condition);
void pause_ms(int milliseconds);

// One of the host's loopback that nobody has.
int free_port(int type = SOCK_STREAM);

// The exit code of a process of ours.
int wait_for_end(pid_t pid);

bool within(int seconds, const auto &condition) {
    for (int i = 0; i < seconds * 20; ++i) {
        if (condition()) return true;
        pause_ms(50);
    }
    return false;
}

}  // namespace boot_test
