// The small changes to the target root: directories, modes, the NixOS mark. Each is done or found done.
#pragma once

#include "mounts/base/error.h"
#include "mounts/boot/step.h"

namespace stage1 {

base::Result<> make_directory(const mounts::MakeDirectory &step);

// EISDIR-like trouble is told: a mark must be a file (`/etc/NIXOS` as a directory would confuse NixOS's own tools).
base::Result<> mark_file(const mounts::MarkFile &step);

// A drop-in for tmp.mount in /run, which stage 2 gets. Not in /run/systemd/system: where that is there, systemd is taken to run
// (sd_booted(3)).
base::Result<> keep_visible(const mounts::KeepVisible &step);

}  // namespace stage1
