// A union over its own directories, served by processes that the test knows. Needs root.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "tests/parity/place.h"
#include "tests/support/backing.h"

namespace parity {

// Bytes read and written by system calls in all threads of a process. I/O on passed-through files does not count, because the
// daemon does not see it.
struct Traffic {
    uint64_t read = 0, written = 0;
};
Traffic traffic_of(pid_t pid);

class Mounted {
  public:
    // Puts the upper on a Backing of that kind and size, and the lower on a tmpfs without a limit.
    explicit Mounted(std::string_view mode, uint64_t room_bytes = 0, const std::string &kind = backing());
    ~Mounted();
    Mounted(const Mounted &) = delete;
    Mounted &operator=(const Mounted &) = delete;

    // `rings`: whether the kernel accepts io_uring=on.
    void mount(const std::string &more_options = {}, bool rings = true);
    // Fills the lower and a plain directory the same way, and mounts. Returns the plain directory.
    std::filesystem::path mount_beside_plain(const std::function<void(const std::filesystem::path &)> &populate);
    // Sets the mount point for later mounts, instead of the default directory.
    void place(const std::filesystem::path &mountpoint) { root_ = mountpoint; }
    // Unmounts, waits for the supervisor and returns its exit code.
    int unmount();
    // Waits for the supervisor to end by itself.
    int end();

    [[nodiscard]] std::filesystem::path root() const { return root_.empty() ? base_ / "ours" : root_; }
    [[nodiscard]] std::filesystem::path lower() const { return base_ / "lower"; }
    [[nodiscard]] std::filesystem::path upper() const { return base_ / "upper"; }
    [[nodiscard]] std::filesystem::path work() const { return base_ / "work"; }
    [[nodiscard]] std::filesystem::path base() const { return base_; }
    [[nodiscard]] std::string layers() const;
    [[nodiscard]] pid_t supervisor() const { return supervisor_; }
    [[nodiscard]] pid_t worker() const;
    [[nodiscard]] std::string log() const;  // the output of the processes

  private:
    std::string mode_;
    std::filesystem::path base_, root_{};
    std::optional<support::Backing> disk_;
    pid_t supervisor_ = -1;
};

}  // namespace parity
