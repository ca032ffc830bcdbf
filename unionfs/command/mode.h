// Which mode `auto` means for the layers at hand, and the sentence that says why. What is known of them is gathered first
// (look); the decision is pure (choose_mode).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "unionfs/tree/union.h"

namespace unionfs {

struct LayerFacts {
    bool rootless = false;
    bool has_passthrough = true;  // Linux 6.9
    bool takes_changes = false;   // files of the lowers may be copied up
    bool stale_readers = false;
    std::string server{};       // the file system of a lower whose files are at a server: 9p, …
    uint64_t bytes_a_file = 0;  // on the lowers' file systems, on average; 0: they don't tell
};
// Of the file system of that number in the text of proc_pid_mountinfo(5); empty: none has it.
std::string file_system_type(std::string_view mountinfo, dev_t device);
LayerFacts look(const Union &fs, bool rootless);

struct Choice {
    Mode mode;  // never automatic
    std::string reason;
};
Choice choose_mode(const LayerFacts &facts);

}  // namespace unionfs
