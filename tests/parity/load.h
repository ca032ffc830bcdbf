// A load that checks itself: processes that make, write, rename, link and remove in a directory of their own, and know after
// each operation what has to be there.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace parity {

// The files of the lower that a process begins with, beneath root.
void populate_load(const std::string &root, int processes);

class Load {
  public:
    // Starts `processes` of them in the directories that populate_load made.
    Load(const std::string &root, int processes, unsigned seed);
    ~Load();
    Load(const Load &) = delete;
    Load &operator=(const Load &) = delete;

    // Ends them after the operation that each is at. What went wrong, one line each; empty: nothing did.
    std::string finish();
    [[nodiscard]] unsigned long operations() const;

  private:
    struct Shared;
    Shared *shared_;
    std::vector<pid_t> pids_{};
};

}  // namespace parity
