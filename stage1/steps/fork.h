// Makes a restored machine a machine of its own. One snapshot can be restored many times at once, so everything that two machines
// must not share is replaced.
#pragma once

#include <string>
#include <vector>

#include "mounts/base/error.h"
#include "mounts/boot/step.h"

namespace stage1 {

// `news`: the text of mounts/exec/fork_news.h. Skips what this machine does not have, such as a machine id or a card.
base::Result<> become_fork(const std::string &news);

// In stage 1: waits until the machine was saved and restored, then makes it a fork.
base::Result<> wait_to_be_forked();

// In stage 1, after the mounts: registers the store paths that came since the machine was saved, and removes the file, which is
// in the target root. Returns a line for the log; empty: there is no file.
base::Result<std::string> register_new_paths(const std::string &target_root, const std::string &file);

// Mounts what would have kept QEMU from saving the machine.
base::Result<> mount_late(const std::vector<mounts::Mount> &mounts);

// The agent's task. Returns the exit status and writes failures to standard error.
int wake_fork(const std::string &news, const std::vector<mounts::Mount> &late);

}  // namespace stage1
