// A program that runs beside QEMU and serves it on a socket, such as virtiofsd or swtpm. It ends with its owner.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"
#include "mounts/base/process.h"

namespace hostside {

class CompanionProcess {
  public:
    CompanionProcess() = default;
    // `child` must have captured output. `end_signal` ends the program.
    CompanionProcess(base::Child child, int end_signal);
    CompanionProcess(CompanionProcess &&other) noexcept { swap(other); }
    CompanionProcess &operator=(CompanionProcess &&other) noexcept {
        swap(other);
        return *this;
    }
    CompanionProcess(const CompanionProcess &) = delete;
    CompanionProcess &operator=(const CompanionProcess &) = delete;
    ~CompanionProcess();  // ends the program, with SIGKILL if it does not end within three seconds, and waits for it

    [[nodiscard]] bool runs() const { return pid_ > 0; }
    // True once, if the program ended by itself. Never waits.
    bool ended();
    // The last line of its output, printable.
    [[nodiscard]] std::string last_words() const;

  private:
    void swap(CompanionProcess &other) noexcept {
        std::swap(pid_, other.pid_);
        std::swap(end_signal_, other.end_signal_);
        std::swap(output_, other.output_);
    }

    pid_t pid_ = -1;
    int end_signal_ = 0;
    base::Fd output_;
};

// A listening socket for a program that blocks in accept(2); it needs a blocking socket.
base::Result<base::Fd> listen_blocking(const std::string &path);

}  // namespace hostside
