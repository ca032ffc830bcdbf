// The command line of commands that take a description: one flag per option, and the sources of the layers.
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
    // The text of `config`, which may be a pipe: that can be read only once.
    std::optional<base::Result<std::string>> config_text;
    std::vector<Flag> flags;
    std::vector<std::string> extra;  // after `--`: QEMU arguments, like "$@" of the 2013 script
    bool icount = false;             // see counted_machine in arguments.cc
    bool print = false, complete = false, console = false, json = false, fresh = false, notify_ready = false, background = false;
    std::string output, report;
    std::string from;  // the snapshot to restore instead of booting
    // For a machine that is being saved: the file for its memory, a check of its plan, and a callback at the launcher's end.
    std::string memory_file;
    std::function<base::Result<>(const Machine &, const HostFacts &)> check;
    std::function<void()> at_end;
    // For a machine that is booted for a single command: receives its run directory, which is unique even if the name is taken.
    std::function<void(const std::string &run_directory)> told_directory;
    // Replaces the whole description: a machine that was already made from it, or one that is not the user's.
    std::optional<Machine> decided;
    bool quiet = false;  // report nothing about the run except its failure
    std::string wait;    // for `start`: what to wait for: `stage2`, `ready`, `fork-point`; empty: QEMU
};

// A flag that no help shows; its value is one word after `--`.
inline constexpr std::string_view after_dashes = "--qemu-argument";

void add_description_flags(CLI::App &command, Arguments &arguments);
// --from, for commands that start a machine.
void add_from_flag(CLI::App &command, Arguments &arguments);

// Sets a key as its flag would: add_setting adds a value, default_setting applies only if nothing set the key.
void add_setting(Arguments &arguments, std::string_view key, std::string value);
void default_setting(Arguments &arguments, std::string_view key, std::string value);

// In this order: the file, the environment, the flags.
base::Result<std::vector<Layer>> layers_of(const Arguments &arguments);

base::Result<Machine> machine_of(const Arguments &arguments);

// The words that repeat the description, for printed commands. Does not include the words after `--`.
std::vector<std::string> description_words(const Arguments &arguments);

}  // namespace hostside
