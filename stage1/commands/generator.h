// For systemd in the initrd: under the name stage1-generator, `stage1` is a systemd.generator(7). It writes sysroot.mount for
// roots that systemd cannot express (serial=, tmpfs, the built-in default). systemd's own generator handles the others: paths,
// LABEL=, UUID= and PARTUUID=.
#pragma once

#include <string>

#include "mounts/base/error.h"
#include "mounts/boot/plan.h"

namespace stage1 {

// `stage1 devices` creates this link to the root's block device. It is not below /dev, because systemd would wait for udev to
// announce it there.
inline constexpr std::string_view root_link = "/run/stage1/root";

// The unit's text. Empty: systemd's own generator writes a better one.
std::string sysroot_mount(const mounts::PlanInput &input);

// Returns the exit code. argv: the program's name, then the directories for normal, early and late units.
int generator_main(int argc, char **argv);

}  // namespace stage1
