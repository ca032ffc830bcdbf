// One union of ours over folders on a tmpfs of its own, served by a process that the test knows. Needs root.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>

namespace parity {

// Bytes that a process has read and written by system calls, in all of its threads. A file that the kernel passes through
// doesn't count: the daemon sees nothing of it.
struct Traffic {
    uint64_t read = 0, written = 0;
};
Traffic traffic_of(pid_t pid);

class Mounted {
  public:
    explicit Mounted(std::string_view mode, std::string_view tmpfs_options = "mode=755");
    ~Mounted();
    Mounted(const Mounted &) = delete;
    Mounted &operator=(const Mounted &) = delete;

    void mount(const std::string &more_options = {});
    // Unmounts, and waits for the supervisor: its exit code.
    int unmount();
    // Waits for the supervisor to end by itself.
    int end();

    [[nodiscard]] std::filesystem::path root() const { return base_ / "ours"; }
    [[nodiscard]] std::filesystem::path lower() const { return base_ / "lower"; }
    [[nodiscard]] std::filesystem::path upper() const { return base_ / "upper"; }
    [[nodiscard]] std::filesystem::path work() const { return base_ / "work"; }
    [[nodiscard]] std::filesystem::path base() const { return base_; }
    [[nodiscard]] std::string layers() const;
    [[nodiscard]] pid_t supervisor() const { return supervisor_; }
    [[nodiscard]] pid_t worker() const;
    [[nodiscard]] std::string log() const;  // what the processes said

  private:
    std::string mode_;
    std::filesystem::path base_, other_;
    pid_t supervisor_ = -1;
};

}  // namespace parity
