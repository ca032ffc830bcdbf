// Small changes to the target root: directories, modes, the NixOS mark. Repeating them changes nothing.
#pragma once

#include "mounts/base/error.h"
#include "mounts/boot/step.h"

namespace stage1 {

base::Result<> make_directory(const mounts::MakeDirectory &step);

// Fails if something else exists, because `/etc/NIXOS` as a directory would confuse NixOS's tools.
base::Result<> mark_file(const mounts::MarkFile &step);

// Writes a drop-in for tmp.mount to /run, which stage 2 inherits. Not to /run/systemd/system, because its existence means that
// systemd runs (sd_booted(3)).
base::Result<> keep_visible(const mounts::KeepVisible &step);

}  // namespace stage1
