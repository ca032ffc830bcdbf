// The command line of the commands that take a description: a flag for each option, and where the layers come from.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hostside/description/description.h"
#include "hostside/qemu/command.h"
#include "mounts/base/error.h"

namespace CLI {
class App;
}

namespace hostside {

struct Flag {
    Key key;
    std::vector<std::string> values;
};

struct Arguments {
    std::string config, store_union, system;
    std::vector<Flag> flags;
    std::vector<std::string> extra;  // after `--`: for QEMU, as the 2013 script's "$@"
    bool print = false, complete = false, console = false, json = false, fresh = false, notify_ready = false, background = false;
    std::string output, report;
    std::string from;  // a snapshot that is restored instead of a boot
    // Of a machine that is saved: its memory's file, who is told its plan, and who has the last word in its launcher.
    std::string memory_file;
    std::function<base::Result<>(const Machine &, const HostFacts &)> check;
    std::function<void()> at_end;
    // For a machine that is booted for one command: told its run directory, which is then its own.
    std::function<void(const std::string &run_directory)> told_directory;
    // Instead of all that was said: the machine, because it was made of that before, or is not the user's.
    std::optional<Machine> decided;
    bool quiet = false;  // nothing is told of its run but its failure
    std::string wait;    // of start, for what: empty: QEMU; `stage2`, `ready`, `fork-point`
};

// The flag, in no help, that a word after `--` is the value of.
inline constexpr std::string_view after_dashes = "--qemu-argument";

void add_description_flags(CLI::App &command, Arguments &arguments);
// --from, of commands that start a machine.
void add_from_flag(CLI::App &command, Arguments &arguments);

// As the key's flag would say it: one more, or only when nothing was said of it there.
void add_setting(Arguments &arguments, std::string_view key, std::string value);
void default_setting(Arguments &arguments, std::string_view key, std::string value);

// The file, then the environment, then the flags.
base::Result<std::vector<Layer>> layers_of(const Arguments &arguments);

base::Result<Machine> machine_of(const Arguments &arguments);

// The words that say the description again, for a command that is printed; without those after `--`.
std::vector<std::string> description_words(const Arguments &arguments);

}  // namespace hostside
