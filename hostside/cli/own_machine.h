// A machine that is booted for one command and powered off after it. Its launcher is a process that dies with this one.
#pragma once

#include <sys/types.h>

#include <expected>
#include <optional>
#include <string>

namespace hostside {

struct Arguments;

class OwnMachine {
  public:
    // Returns when QEMU runs. Error: QEMU did not start. The reason is printed, and the error is the launcher's exit code.
    static std::expected<OwnMachine, int> boot(Arguments arguments);
    OwnMachine(OwnMachine &&other) noexcept;
    OwnMachine &operator=(OwnMachine &&) = delete;
    OwnMachine(const OwnMachine &) = delete;
    OwnMachine &operator=(const OwnMachine &) = delete;
    // Ends the machine if it still runs.
    ~OwnMachine();

    [[nodiscard]] const std::string &run_directory() const { return run_directory_; }
    [[nodiscard]] std::string name() const;
    // Syncs and powers off; ends QEMU after `patience_s`. Returns the launcher's exit code.
    int power_off(int patience_s);
    // Call when the machine has ended or is about to. Returns the launcher's exit code, which tells the reason (exit_code.h).
    int wait();

  private:
    OwnMachine(pid_t launcher, std::string run_directory) : launcher_(launcher), run_directory_(std::move(run_directory)) {}
    std::optional<int> wait_for(int seconds);

    pid_t launcher_;
    std::string run_directory_;
};

}  // namespace hostside
