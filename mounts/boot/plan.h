// Turns the desired state (file systems, parameters) into steps, in order. Pure: `stage1 plan` prints what `stage1 init` would
// run, on any machine.
#pragma once

#include <string>
#include <vector>

#include "mounts/boot/fstab.h"
#include "mounts/boot/step.h"
#include "mounts/protocol.h"

namespace mounts {

// A phase of a boot. Each phase is planned and run before the next one is.
struct Phase {
    protocol::BootPhase phase;
    std::vector<Step> steps;
    [[nodiscard]] std::string_view name() const { return protocol::name(phase); }
};

struct PlanInput {
    std::vector<FileSystem> file_systems;    // root first, as parse_fstab returns
    std::vector<std::string> passed_over{};  // as parse_fstab returns
    BootParameters parameters;
    std::string target_root;
    bool root_mounted = false;  // somebody else mounted it: a scripted stage 1 or systemd
    // /proc, /sys, /dev and /run move along into the target root. Mounts inside them go into the initrd's directories, because
    // those in the target root would be hidden.
    bool run_goes_along = true;
    uint64_t memory_bytes = 0;
    std::vector<std::string> modules;  // to load in any case
};

// The whole boot. Error: a boot that needs init= has none.
base::Result<std::vector<Phase>> plan_boot(const PlanInput &input);

// Single phases, for the hooks.
Phase plan_modules(const PlanInput &input);
Phase plan_devices(const PlanInput &input);
Phase plan_mounts(const PlanInput &input);
Phase plan_system(const PlanInput &input);

}  // namespace mounts
