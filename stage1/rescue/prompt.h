// The built-in prompt, for a boot that stopped or failed in an initrd without a shell. It has commands to inspect and repair
// the machine, and commands that decide how the boot continues.
#pragma once

#include <string>

namespace stage1 {

// How the boot continues.
enum class Answer { go_on, step, retry, reboot };

// What the prompt can show about the boot.
struct Scene {
    std::string plan;         // one line per step, with the next one marked
    std::string report;       // JSON
    bool has_failed = false;  // a step failed and can be retried
    bool aside = false;       // at a second terminal, which does not control the boot
};

// Reads commands from the terminal until one of them is an answer. The end of the input means `go_on`. Must run in its own
// process with this as its terminal, so that ctrl-c interrupts a command.
Answer prompt(int terminal, const Scene &scene);

}  // namespace stage1
