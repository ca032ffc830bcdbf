// Rust virtiofsd (1.x; the one that QEMU once had takes other options), which serves the store to one machine and ends with it.
// It holds a descriptor for each inode that the guest knows, and once it has no more of them what it lists is short without a
// word: so the closure is counted before.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "hostside/store/view.h"
#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace hostside {

// Its path: in PATH, or where distributions put it. Error: none, or not that one; what to install.
base::Result<std::string> find_virtiofsd();

// Error: it may not have as many descriptors as `names`, of files and directories in `store`, have inodes.
base::Result<> check_descriptors(const std::string &store, const std::vector<std::string> &names);

class Virtiofsd {
  public:
    // Shares the store's paths, of which it sees no others, read-only. `socket` is a path for QEMU to connect to, at once.
    static base::Result<Virtiofsd> start(const ViewSpec &view, const std::string &socket);
    // Shares all of a directory.
    static base::Result<Virtiofsd> start(const std::string &directory, const std::string &socket);
    Virtiofsd() = default;
    Virtiofsd(Virtiofsd &&other) noexcept : pid_(std::exchange(other.pid_, -1)), output_(std::move(other.output_)) {}
    Virtiofsd &operator=(Virtiofsd &&other) noexcept;
    Virtiofsd(const Virtiofsd &) = delete;
    Virtiofsd &operator=(const Virtiofsd &) = delete;
    ~Virtiofsd();  // ends it

    [[nodiscard]] bool runs() const { return pid_ > 0; }
    // True once: it has ended, though nobody told it to. Never waits.
    bool ended();
    // What it said last, one line.
    [[nodiscard]] std::string last_words() const;

  private:
    explicit Virtiofsd(base::Child child);
    pid_t pid_ = -1;
    base::Fd output_;
};

}  // namespace hostside
