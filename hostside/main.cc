// runvm: the launcher on the host. Each command is in its own file; this one is the table of them.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <exception>
#include <format>
#include <string>
#include <utility>
#include <vector>

#include "hostside/base/exit_code.h"
#include "hostside/cli/completion_command.h"
#include "hostside/cli/describe_command.h"
#include "hostside/cli/life_command.h"
#include "hostside/cli/reginfo_command.h"
#include "hostside/cli/relay_command.h"
#include "hostside/cli/reporter.h"
#include "hostside/cli/run_command.h"

namespace {

// CLI11 takes the next word for the value of `--disk-image=`; as a word of its own it takes the empty one. Last first, as it
// wants them.
std::vector<std::string> words_of(int argc, char **argv) {
    std::vector<std::string> words;
    bool options = true;
    for (int i = 1; i < argc; ++i) {
        std::string word = argv[i];
        options = options && word != "--";
        const bool empty_value = options && word.starts_with("--") && word.find('=') == word.size() - 1;
        if (empty_value) word.pop_back();
        words.push_back(std::move(word));
        if (empty_value) words.emplace_back();
    }
    std::ranges::reverse(words);
    return words;
}

int command_line(int argc, char **argv) {
    CLI::App app{"Starts NixOS virtual machines in QEMU.", "runvm"};
    app.set_version_flag("--version", "runvm " STAGE1_VERSION);
    app.require_subcommand(1);
    int status = 0;
    hostside::add_run_commands(app, status);
    hostside::add_describe_commands(app, status);
    hostside::add_life_commands(app, status);
    hostside::add_reginfo_command(app, status);
    hostside::add_relay_command(app, status);
    hostside::add_completion_command(app, status);
    try {
        app.parse(words_of(argc, argv));
    } catch (const CLI::ParseError &error) {
        if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
        const auto used = app.get_subcommands();
        hostside::say(std::format("{}; see runvm {}--help", error.what(), used.empty() ? "" : used.front()->get_name() + " "));
        return hostside::launcher_error;
    }
    return status;
}

}  // namespace

int main(int argc, char **argv) {
    try {
        return command_line(argc, argv);
    } catch (const std::exception &error) {
        hostside::say(std::format("a bug, please report it: {}", error.what()));
        return hostside::launcher_error;
    }
}
