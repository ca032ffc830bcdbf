// A machine that was saved and goes on elsewhere, perhaps many times at once, becomes one of its own: what two machines must
// not have in common is made anew.
#pragma once

#include <string>
#include <vector>

#include "mounts/base/error.h"
#include "mounts/boot/step.h"

namespace stage1 {

// `news`: mounts/exec/fork_news.h, as a text. What is not there to be changed, as a machine's id or a card, is left alone.
base::Result<> become_fork(const std::string &news);

// In stage 1, to the fork's first moment.
base::Result<> wait_to_be_forked();

// What was left for this moment, because it would have kept the machine from being saved.
base::Result<> mount_late(const std::vector<mounts::Mount> &mounts);

// For the agent's task; the exit status, failures on standard error.
int wake_fork(const std::string &news, const std::vector<mounts::Mount> &late);

}  // namespace stage1
