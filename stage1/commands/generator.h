// systemd in the initrd: `stage1` under the name stage1-generator is a systemd.generator(7). It writes sysroot.mount for
// a root that systemd has no words for (serial=, tmpfs, the built-in default), and leaves the others to systemd's own
// generator, which knows paths, LABEL=, UUID= and PARTUUID=.
#pragma once

#include <string>

#include "mounts/base/error.h"
#include "mounts/boot/plan.h"

namespace stage1 {

// Where `stage1 devices` leaves a link to the root's block device. It is not below /dev, where systemd would wait for udev
// to tell of it.
inline constexpr std::string_view root_link = "/run/stage1/root";

// The unit's text; empty: systemd's own generator has a better one.
std::string sysroot_mount(const mounts::PlanInput &input);

// The program's exit code. argv: its name, then the directories for units of normal, early and late priority.
int generator_main(int argc, char **argv);

}  // namespace stage1
