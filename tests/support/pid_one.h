// A program as PID 1, without a machine: of a PID namespace, in a scratch root, on a terminal of ours. /proc of that root is a
// file, so that the program's very first step fails and nothing of the host can be reached. Needs root.
#pragma once

#include <sys/types.h>

#include <string>

#include "mounts/base/fd.h"
#include "tests/support/disk.h"
#include "tests/support/terminal.h"

namespace support {

class PidOne {
  public:
    // Starts `program` as /init. memory_bytes: what it may map; 0: no limit. Throws std::system_error.
    explicit PidOne(const std::string &program, uint64_t memory_bytes = 0);
    PidOne(const PidOne &) = delete;
    PidOne &operator=(const PidOne &) = delete;
    ~PidOne();

    // All that was said so far, once it holds `text`; after half a minute without it, or once the program has ended, just that.
    std::string wait_for(const std::string &text);
    void press(char key) const { terminal_.type({key}); }
    void send(int signal) const;
    [[nodiscard]] bool alive() const;
    // A grandchild of ours that its parent leaves to this PID 1; it ends when `release` is closed.
    base::Fd leave_an_orphan() const;
    // How many processes this PID 1 is the parent of, dead ones that it did not wait for included.
    [[nodiscard]] size_t children() const;

  private:
    ScratchDirectory root_;
    Terminal terminal_;
    mutable pid_t pid_ = -1;  // -1 once it has ended
};

// Why a PID namespace cannot be had here; empty: it can.
std::string pid_namespaces_missing();

}  // namespace support
