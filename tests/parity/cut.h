// Cuts the power in front of each system call with which a process changes a file system: it and its children wait there
// (seccomp_unotify(2)) while a copy of what is on disk is taken. Needs root.
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
    // Starts the program; `at_change` is called in a thread of ours, before each change, while armed.
    Cutter(const std::vector<std::string> &argv, std::function<void()> at_change);
    ~Cutter();
    Cutter(const Cutter &) = delete;
    Cutter &operator=(const Cutter &) = delete;

    void arm(bool armed) { armed_ = armed; }
    [[nodiscard]] pid_t pid() const { return pid_; }
    int wait();

  private:
    void serve();

    std::function<void()> at_change_;
    std::atomic<bool> armed_ = false;
    pid_t pid_ = -1;
    base::Fd listener_;
    std::thread thread_;
};

}  // namespace parity
