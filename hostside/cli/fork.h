// Restores a machine from a snapshot instead of booting it: the data that makes the fork a machine of its own, and the process
// that delivers it while the launcher listens to the machine.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "hostside/description/machine.h"
#include "hostside/snapshot/place.h"
#include "mounts/base/error.h"
#include "mounts/base/fd.h"
#include "mounts/exec/fork_news.h"

namespace hostside {

// Gives the machine the snapshot's disk and the kernel parameters of a machine that is saved.
void be_saved(Machine &machine, const std::string &point, const std::string &disk);

// `name`: the fork's name, unique on this host.
base::Result<mounts::exec::ForkNews> fork_news(const Machine &machine, const Manifest &manifest, const std::string &name);

// Adds the current time.
std::string text_of(mounts::exec::ForkNews news);

// A process that loads the state into QEMU, resumes it, and makes the guest's agent do its part. It ends with this process.
class Waker {
  public:
    static base::Result<Waker> start(const Snapshot &snapshot, const std::string &run_directory, mounts::exec::ForkNews news);
    Waker(Waker &&other) noexcept;
    Waker &operator=(Waker &&) = delete;
    Waker(const Waker &) = delete;
    Waker &operator=(const Waker &) = delete;
    ~Waker();

    // Becomes readable when the process is done.
    [[nodiscard]] int fd() const { return told_.get(); }
    // Empty: the fork runs.
    [[nodiscard]] std::string failure() const;

  private:
    Waker(pid_t pid, base::Fd told) : pid_(pid), told_(std::move(told)) {}
    pid_t pid_ = -1;
    base::Fd told_;
};

// Restores one run, from reading the snapshot until the fork runs. Does nothing without a snapshot.
class Restoring {
  public:
    // `from`: the snapshot's path. Empty: the machine is booted.
    static base::Result<Restoring> open(const std::string &from);
    // Call right before QEMU starts.
    base::Result<> begin(const Machine &machine, const std::string &run_directory);
    // Call when fd() is readable. False: the restore failed.
    bool finish();

    [[nodiscard]] bool wanted() const { return saved_.has_value(); }
    [[nodiscard]] std::string path() const { return saved_ ? saved_->path : ""; }
    [[nodiscard]] std::string memory_file() const { return saved_ ? saved_->file(snapshot_memory) : ""; }
    [[nodiscard]] int fd() const { return waker_ ? waker_->fd() : -1; }
    [[nodiscard]] bool was_ready() const { return saved_ && saved_->manifest.point == "ready"; }
    // A line for the guest's stage 1, sent on the status port; may be empty.
    [[nodiscard]] const std::string &first_words() const { return first_words_; }
    // The machine runs: it was booted, or the fork was resumed.
    [[nodiscard]] bool awake() const { return awake_; }
    // Why the fork does not run. Empty: no failure.
    [[nodiscard]] const std::string &failure() const { return failure_; }
    [[nodiscard]] std::vector<std::string> new_paths(const Machine &machine) const {
        return saved_ ? hostside::new_paths(saved_->manifest, machine) : std::vector<std::string>();
    }
    [[nodiscard]] base::Result<> check(const Machine &machine, const HostFacts &host) const {
        return check_traits(saved_->manifest, machine, host, saved_->path);
    }

  private:
    std::optional<Snapshot> saved_;
    std::optional<Waker> waker_;
    std::string first_words_, failure_;
    bool awake_ = true;
};

}  // namespace hostside
