// Three places with the same files: our union, the kernel's overlayfs, a plain directory. Each test does the same at all
// of them and compares result, errno and the tree that is left. In a private mount namespace; needs root.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tests/parity/tree.h"

namespace parity {

// What an operation gave: its value or -errno.
using Outcome = std::string;

// The union's program: $UNIONFS, else build/unionfs. An absolute path.
std::string program();

// What the layers of all tests lie on (support::Backing): $PARITY_BACKING, else `tmpfs`.
std::string backing();

// The reason why this can't be done here; empty when it can.
std::string missing();

// What each test is done with: values of mode=, the last with io_uring=on where the kernel has it.
std::vector<std::string> modes();

// The working directory while it lives.
class WorkingDirectory {
  public:
    explicit WorkingDirectory(const std::filesystem::path &directory) { std::filesystem::current_path(directory); }
    ~WorkingDirectory() { std::filesystem::current_path(before_); }
    WorkingDirectory(const WorkingDirectory &) = delete;
    WorkingDirectory &operator=(const WorkingDirectory &) = delete;

  private:
    std::filesystem::path before_ = std::filesystem::current_path();
};

// Runs `operation` (the working directory is the place's root) at each place. `kernel` false: overlayfs can't do it, and
// only the plain directory is the judge. Fails the test that runs where ours differs.
void same(const std::function<Outcome()> &operation, bool kernel = true);

// The errno's name-free form of a call's result.
Outcome result(long value);

}  // namespace parity
