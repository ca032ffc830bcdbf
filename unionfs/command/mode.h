// Which mode `auto` means for the given layers, and the sentence that says why. look() gathers the facts. choose_mode() only
// decides.
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
    bool takes_changes = false;   // lower files may be copied up
    bool stale_readers = false;
    std::string server{};       // type of a lower's file system that is on a server: 9p, …
    uint64_t bytes_a_file = 0;  // average on the lowers' file systems; 0: unknown
};
// The type of the file system with that device number, from the text of proc_pid_mountinfo(5). Empty: there is none.
std::string file_system_type(std::string_view mountinfo, dev_t device);
LayerFacts look(const Union &fs, bool rootless);

struct Choice {
    Mode mode;  // never automatic
    std::string reason;
};
Choice choose_mode(const LayerFacts &facts);

}  // namespace unionfs
