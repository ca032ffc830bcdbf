// A machine that is booted for one command, and powered off after it: in a process of its own, which dies with us.
#pragma once

#include <sys/types.h>

#include <expected>
#include <optional>
#include <string>

namespace hostside {

struct Arguments;

class OwnMachine {
  public:
    // Returns when QEMU runs. Error: it did not come to that, why is said, and this is its launcher's exit code.
    static std::expected<OwnMachine, int> boot(Arguments arguments);
    OwnMachine(OwnMachine &&other) noexcept;
    OwnMachine &operator=(OwnMachine &&) = delete;
    OwnMachine(const OwnMachine &) = delete;
    OwnMachine &operator=(const OwnMachine &) = delete;
    // Ends it if it runs.
    ~OwnMachine();

    [[nodiscard]] const std::string &run_directory() const { return run_directory_; }
    [[nodiscard]] std::string name() const;
    // Synced and powered off; ended, when it takes more than `patience_s`. The launcher's exit code.
    int power_off(int patience_s);
    // It has ended, or is about to: its launcher's exit code, which says why (exit_code.h).
    int wait();

  private:
    OwnMachine(pid_t launcher, std::string run_directory) : launcher_(launcher), run_directory_(std::move(run_directory)) {}
    std::optional<int> wait_for(int seconds);

    pid_t launcher_;
    std::string run_directory_;
};

}  // namespace hostside
