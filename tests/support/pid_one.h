// Runs a program as PID 1 without a machine: in a PID namespace, in a scratch root, on a pseudo terminal. /proc of that root is
// a file, so that the program's first step fails and it can't reach anything of the host. Needs root.
#pragma once

#include <sys/types.h>

#include <string>

#include "mounts/base/fd.h"
#include "tests/support/disk.h"
#include "tests/support/terminal.h"

namespace support {

class PidOne {
  public:
    // Starts `program` as /init. memory_bytes: how much it may map; 0: no limit. Throws std::system_error.
    explicit PidOne(const std::string &program, uint64_t memory_bytes = 0);
    PidOne(const PidOne &) = delete;
    PidOne &operator=(const PidOne &) = delete;
    ~PidOne();

    // All output so far, as soon as it contains `text`. Without it: the output after half a minute, or when the program has
    // ended.
    std::string wait_for(const std::string &text);
    void press(char key) const { terminal_.type({key}); }
    void send(int signal) const;
    [[nodiscard]] bool alive() const;
    // A grandchild of the test whose parent exits, so that this PID 1 adopts it. It ends when `release` is closed.
    base::Fd leave_an_orphan() const;
    // The number of this PID 1's child processes, including zombies.
    [[nodiscard]] size_t children() const;

  private:
    ScratchDirectory root_;
    Terminal terminal_;
    mutable pid_t pid_ = -1;  // -1 after it has ended
};

// The reason why PID namespaces are not available here; empty if they are.
std::string pid_namespaces_missing();

}  // namespace support
