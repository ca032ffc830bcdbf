// Stops a process and its children before each system call that changes a file system or waits for the disk
// (seccomp_unotify(2)), and calls the test, which can simulate a power cut there by copying what is on disk. Needs root.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "mounts/base/fd.h"

namespace parity {

class Cutter {
  public:
    // The call's number (SYS_fsync, ...).
    using AtCall = std::function<void(int call)>;

    // Starts the program. While armed, calls `at_call` in a separate thread before each such call.
    Cutter(const std::vector<std::string> &argv, AtCall at_call);
    ~Cutter();
    Cutter(const Cutter &) = delete;
    Cutter &operator=(const Cutter &) = delete;

    void arm(bool armed) { armed_ = armed; }
    [[nodiscard]] pid_t pid() const { return pid_; }
    int wait();

  private:
    void serve();

    AtCall at_call_;
    std::atomic<bool> armed_ = false;
    pid_t pid_ = -1;
    base::Fd listener_;
    std::thread thread_;
};

// Whether the call waits for the disk and changes nothing.
bool is_sync(int call);

}  // namespace parity
