// From what shall be (file systems, parameters) to what is done, in order. Pure: `stage1 plan` prints what
// `stage1 init` runs, on any machine.
#pragma once

#include <string>
#include <vector>

#include "mounts/boot/fstab.h"
#include "mounts/boot/step.h"
#include "mounts/protocol.h"

namespace mounts {

// The phases of a boot, in order. Each is planned and run before the next one.
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
    bool root_mounted = false;  // by somebody else: a scripted stage 1, systemd
    // /proc, /sys, /dev and /run go along into the target root: what is to be mounted in them is mounted in our own, for what
    // is mounted in the root's would be hidden.
    bool run_goes_along = true;
    uint64_t memory_bytes = 0;
    std::vector<std::string> modules;  // to load whatever the file systems need
};

// The whole boot. Error: no init= (which is named), where a boot needs one.
base::Result<std::vector<Phase>> plan_boot(const PlanInput &input);

// The phases alone that the hooks run.
Phase plan_modules(const PlanInput &input);
Phase plan_devices(const PlanInput &input);
Phase plan_mounts(const PlanInput &input);
Phase plan_system(const PlanInput &input);

}  // namespace mounts
