// Why a run ended, for the person who waited: what failed, where, why, what to do. The last words of `runvm run`, and the cause
// that `runvm status` tells later. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hostside/run/run_event.h"

namespace hostside {

// What was heard of a run.
struct Heard {
    void event(const RunEvent &event);

    std::string stage1_failure;  // stage 1's own words
    std::string phase;           // the last of stage 1's; `switch_root`: stage 2 began
    std::string step;            // of that phase, the last of those that may take long
    bool started = false, ready = false, emergency = false;
    int qemu_signal = 0;         // that ended QEMU
    bool out_of_memory = false;  // the host's kernel says that it was this one's signal
    std::vector<std::string> qemu_said, full_disks, failed_disks;
};

// What the machine is, as far as the words need it.
struct Circumstances {
    int exit_code = 0, timeout_s = 0, memory_mib = 0;
    std::string initrd;           // the file
    std::string console;          // its last part; see printable_lines()
    std::string root_image{};     // empty: there is none
    bool root_image_raw = false;  // else a qcow2
};

struct Ending {
    std::string what;  // `stage 1 failed in its phase 'mounts'`; empty: all was in order
    std::string why, remedy;
};

Ending ending_of(const Heard &heard, const Circumstances &machine);

// `stage 1 failed in its phase 'mounts': WHY`, one line.
std::string cause(const Ending &ending);

// The last words of a run, a line each; none when all was in order. `look`: where there is more, as `runvm logs web`.
std::vector<std::string> last_words(const Ending &ending, int exit_code, double seconds, std::string_view look);

// How far it came: `kernel`, `stage 1: mounts`, `stage 2`, `ready`.
std::string how_far(const Heard &heard);

}  // namespace hostside
