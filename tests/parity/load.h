// A load that checks itself: processes that create, write, rename, link and remove files, each in its own directory, and check
// the expected state after each operation.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace parity {

// Makes, in the lower `root`, the files that the processes begin with.
void populate_load(const std::string &root, int processes);

class Load {
  public:
    // Starts `processes` of them in the directories that populate_load made.
    Load(const std::string &root, int processes, unsigned seed);
    ~Load();
    Load(const Load &) = delete;
    Load &operator=(const Load &) = delete;

    // Ends each after its current operation. Returns the errors, one line each; empty if there were none.
    std::string finish();
    [[nodiscard]] unsigned long operations() const;

  private:
    struct Shared;
    Shared *shared_;
    std::vector<pid_t> pids_{};
};

}  // namespace parity
