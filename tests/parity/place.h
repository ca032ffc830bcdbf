// Three places with the same files: our union, the kernel's overlayfs, a plain directory. Each test does the same at all of
// them and compares result, errno and the resulting tree. In a private mount namespace; needs root.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "tests/parity/tree.h"

namespace parity {

// The result of an operation: its value or -errno.
using Outcome = std::string;

// The union's program as an absolute path: $UNIONFS, or build/unionfs.
std::string program();

// The file system of the layers in all tests (support::Backing): $PARITY_BACKING, or `tmpfs`.
std::string backing();

// The reason why these tests can't run here; empty if they can.
std::string missing();

// The modes for each test: values of mode=, the last with io_uring=on if the kernel has it.
std::vector<std::string> modes();

// Changes the working directory for this object's lifetime.
class WorkingDirectory {
  public:
    explicit WorkingDirectory(const std::filesystem::path &directory) { std::filesystem::current_path(directory); }
    ~WorkingDirectory() { std::filesystem::current_path(before_); }
    WorkingDirectory(const WorkingDirectory &) = delete;
    WorkingDirectory &operator=(const WorkingDirectory &) = delete;

  private:
    std::filesystem::path before_ = std::filesystem::current_path();
};

// Runs `operation` at each place, with the place's root as working directory. `kernel` false: overlayfs can't do it, so the
// only reference is the plain directory. Fails the running test if our union differs.
void same(const std::function<Outcome()> &operation, bool kernel = true);

// A call's result, with the errno if it failed.
Outcome result(long value);

}  // namespace parity
