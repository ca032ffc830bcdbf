// A program that runs beside QEMU and listens on a socket for it: virtiofsd, swtpm. It ends with its owner.
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
    // `child` has its output captured. `end_signal` is what ends it.
    CompanionProcess(base::Child child, int end_signal);
    CompanionProcess(CompanionProcess &&other) noexcept { swap(other); }
    CompanionProcess &operator=(CompanionProcess &&other) noexcept {
        swap(other);
        return *this;
    }
    CompanionProcess(const CompanionProcess &) = delete;
    CompanionProcess &operator=(const CompanionProcess &) = delete;
    ~CompanionProcess();  // ends it and waits for its end

    [[nodiscard]] bool runs() const { return pid_ > 0; }
    // True once: it has ended, though nobody told it to. Never waits.
    bool ended();
    // What it said last, one line, printable.
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

// A socket for a program that waits in accept(2), which a non-blocking one would not let it.
base::Result<base::Fd> listen_blocking(const std::string &path);

}  // namespace hostside
