// The built-in prompt of a boot that stopped or failed, in an initrd without a shell: a few commands to look around
// and to mend things with, and those that say how the boot goes on.
#pragma once

#include <string>

namespace stage1 {

// How the boot goes on.
enum class Answer { go_on, step, retry, reboot };

// What the prompt can tell of the boot.
struct Scene {
    std::string plan;         // a line a step, the next one marked
    std::string report;       // JSON
    bool has_failed = false;  // a step failed, and can be run again
    bool aside = false;       // at a second terminal: the boot goes on, or not, without it
};

// Reads commands from the terminal until one of them is an answer. The end of the input is `go_on`. Called in a process of its
// own whose terminal this is: ctrl-c interrupts a command.
Answer prompt(int terminal, const Scene &scene);

}  // namespace stage1
