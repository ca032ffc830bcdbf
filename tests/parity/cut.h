// Stops a process and its children in front of each system call with which they change a file system, or wait for the disk
// (seccomp_unotify(2)), and tells the test. So the power can be cut there: a copy of what is on disk is taken. Needs root.
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

    // Starts the program; `at_call` is called in a thread of ours, before each call, while armed.
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

// Whether it waits for the disk and changes nothing.
bool is_sync(int call);

}  // namespace parity
