// Explains to the user why a run ended: what failed, where, why, and what to do. Used for the last words of `runvm run` and for
// the cause that `runvm status` shows later. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "hostside/run/run_event.h"

namespace hostside {

// The events of a run so far.
struct Heard {
    void event(const RunEvent &event);

    std::string stage1_failure;  // stage 1's own words
    std::string phase;           // the last phase of stage 1; `switch_root`: stage 2 began
    std::string step;            // the last step of that phase that may take long
    bool started = false, ready = false, emergency = false, at_fork_point = false;
    int qemu_signal = 0;         // the signal that ended QEMU
    bool out_of_memory = false;  // the host's kernel logged that it killed QEMU
    std::vector<std::string> qemu_said, full_disks, failed_disks;
};

// The facts about the machine that the texts need.
struct Circumstances {
    int exit_code = 0, timeout_s = 0, memory_mib = 0;
    std::string initrd;           // the file
    std::string console;          // the last part of the console; see printable_lines()
    std::string root_image{};     // empty: no root image
    bool root_image_raw = false;  // false: qcow2
    bool fstab_ignored = false;   // systemd in stage 2 reads no fstab
};

struct Ending {
    std::string what;  // `stage 1 failed in its phase 'mounts'`; empty: success
    std::string why, remedy;
};

Ending ending_of(const Heard &heard, const Circumstances &machine);

// `stage 1 failed in its phase 'mounts': WHY`, one line.
std::string cause(const Ending &ending);

// The last words of a run, one line each; none after success. `look`: a command that shows more, such as `runvm logs web`.
std::vector<std::string> last_words(const Ending &ending, int exit_code, double seconds, std::string_view look);

// How far the boot came: `kernel`, `stage 1: mounts`, `stage 2`, `ready`.
std::string how_far(const Heard &heard);

}  // namespace hostside
