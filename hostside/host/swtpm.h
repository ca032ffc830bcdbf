// swtpm, which is a machine's TPM: it runs beside QEMU, ends with it, and keeps the TPM's state in a directory.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>

#include "hostside/description/machine.h"
#include "mounts/base/error.h"
#include "mounts/base/fd.h"
#include "mounts/base/process.h"

namespace hostside {

// The program's path. Error: none; what to install.
base::Result<std::string> find_swtpm(const Machine &machine);

class Swtpm {
  public:
    // For QEMU to connect to `socket`, at once. The state's directory is made if it is not there, and provisioned.
    // Error: no swtpm, a state that is in use or not ours, provisioning that failed.
    static base::Result<Swtpm> start(const Machine &machine, const std::string &socket);
    Swtpm() = default;
    Swtpm(Swtpm &&other) noexcept : pid_(std::exchange(other.pid_, -1)), output_(std::move(other.output_)) {}
    Swtpm &operator=(Swtpm &&other) noexcept;
    Swtpm(const Swtpm &) = delete;
    Swtpm &operator=(const Swtpm &) = delete;
    ~Swtpm();  // ends it; what it has to keep it has kept

    [[nodiscard]] pid_t pid() const { return pid_; }
    // True once: it has ended, though nobody told it to. Never waits.
    bool ended();
    // What it said last, one line.
    [[nodiscard]] std::string last_words() const;

  private:
    explicit Swtpm(base::Child child);
    pid_t pid_ = -1;
    base::Fd output_;
};

}  // namespace hostside
