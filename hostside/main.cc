// runvm: the launcher on the host. Each command has its own file; this file lists them all.

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <csignal>
#include <exception>
#include <format>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hostside/base/exit_code.h"
#include "hostside/base/nearest.h"
#include "hostside/cli/arguments.h"
#include "hostside/cli/boot_disk_command.h"
#include "hostside/cli/build_command.h"
#include "hostside/cli/builder_command.h"
#include "hostside/cli/check_command.h"
#include "hostside/cli/completion_command.h"
#include "hostside/cli/describe_command.h"
#include "hostside/cli/exec_command.h"
#include "hostside/cli/export_command.h"
#include "hostside/cli/fleet_command.h"
#include "hostside/cli/in_vm_command.h"
#include "hostside/cli/life_command.h"
#include "hostside/cli/look_command.h"
#include "hostside/cli/reginfo_command.h"
#include "hostside/cli/relay_command.h"
#include "hostside/cli/report_command.h"
#include "hostside/cli/reporter.h"
#include "hostside/cli/run_command.h"
#include "hostside/cli/snapshot_command.h"
#include "hostside/cli/store_command.h"

namespace {

// A flag that works without a value never takes the next word as its value.
std::string with_value(std::string word, const std::vector<hostside::Key> &keys) {
    for (const auto &key : keys)
        if (!key.alone.empty() && word == key.flag) return word + "=" + key.alone;
    return word;
}

// CLI11 drops a `--` right after a switch. After `--disk-image=` it takes the next word as the value, unless the empty value is
// a separate word. Words after `--` are for QEMU or a command in the guest. CLI11 wants the words reversed.
std::vector<std::string> words_of(int argc, char **argv) {
    std::vector<std::string> words;
    const auto keys = hostside::keys();
    bool options = true;
    const std::string_view verb = argc > 1 ? argv[1] : "";
    const bool kept = verb == "run" || verb == "start" || verb == "export" || verb == "config" || verb == "initrd" ||
                      verb == "exec" || verb == "in-vm" || verb == "build" || verb == "snapshot" || verb == "builder" ||
                      verb == "builder-ssh";
    for (int i = 1; i < argc; ++i) {
        std::string word = argv[i];
        if (!options && kept) {
            words.emplace_back(hostside::after_dashes);
            words.push_back(std::move(word));
            continue;
        }
        if (options && word == "--" && kept) {
            options = false;
            continue;
        }
        options = options && word != "--";
        if (options) word = with_value(std::move(word), keys);
        const bool empty_value = options && word.starts_with("--") && word.find('=') == word.size() - 1;
        if (empty_value) word.pop_back();
        words.push_back(std::move(word));
        if (empty_value) words.emplace_back();
    }
    std::ranges::reverse(words);
    return words;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string> &known) {
    constexpr size_t short_word = 6;  // too many words are two letters apart from one as short as this
    const size_t near = word.size() <= short_word ? 1 : 2;
    const auto nearest =
        std::ranges::min_element(known, {}, [&](const auto &name) { return hostside::letters_apart(word, name); });
    if (nearest == known.end() || *nearest == word || hostside::letters_apart(word, *nearest) > near) return "";
    return std::format("; did you mean {}?", *nearest);
}

std::string nearest_verb(const CLI::App &app, std::string_view word) {
    std::vector<std::string> verbs;
    for (const auto *verb : app.get_subcommands([](const CLI::App *) { return true; })) verbs.push_back(verb->get_name());
    if (word.contains('/')) return std::format(": {}; to start a system: runvm run {}", word, word);
    return std::format(": {}{}", word, did_you_mean(word, verbs));
}

// CLI11 lists unexpected words at the end of its message.
std::string nearest_flag(const std::vector<CLI::App *> &used, const CLI::ParseError &error) {
    const std::string message = error.what();
    const size_t dashes = message.find(" --");
    if (used.empty() || dashes == std::string::npos) return "";
    const std::string word = message.substr(dashes + 1, message.find_first_of(" =", dashes + 1) - dashes - 1);
    std::vector<std::string> flags;
    for (const auto *option : used.front()->get_options())
        for (const auto &name : option->get_lnames()) flags.push_back("--" + name);
    return did_you_mean(word, flags);
}

// In the order of the help.
struct Commands {
    std::vector<std::string_view> names;
    void (*add)(CLI::App &app, int &status);
};
const std::array<Commands, 18> all_commands{{
    {{"run", "start"}, hostside::add_run_commands},
    {{"snapshot"}, hostside::add_snapshot_command},
    {{"config", "initrd", "schema"}, hostside::add_describe_commands},
    {{"check"}, hostside::add_check_command},
    {{"list", "status", "logs"}, hostside::add_look_commands},
    {{"report"}, hostside::add_report_command},
    {{"stop", "console", "qmp"}, hostside::add_life_commands},
    {{"exec", "shell", "cp", "exec-hub"}, hostside::add_exec_commands},
    {{"commit", "rollback"}, hostside::add_store_commands},
    {{"in-vm"}, hostside::add_in_vm_command},
    {{"boot-disk"}, hostside::add_boot_disk_command},
    {{"build"}, hostside::add_build_command},
    {{"builder", "builder-ssh"}, hostside::add_builder_commands},
    {{"export"}, hostside::add_export_command},
    {{"fleet"}, hostside::add_fleet_command},
    {{"reginfo"}, hostside::add_reginfo_command},
    {{"relay"}, hostside::add_relay_command},
    {{"completion"}, hostside::add_completion_command},
}};

// Only the named command, because the flags of all take more time than most commands do. For help, completions and a word that
// is no command, all.
void add_commands(CLI::App &app, int &status, std::string_view verb) {
    const auto named =
        std::ranges::find_if(all_commands, [&](const Commands &one) { return std::ranges::contains(one.names, verb); });
    if (named != all_commands.end() && verb != "completion") return named->add(app, status);
    for (const auto &one : all_commands) one.add(app, status);
}

// For a command that takes another command, which was written without `--`.
std::string missing_dashes(std::string_view verb, std::span<char *> words, const CLI::ParseError &error) {
    const bool takes_command = verb == "exec" || verb == "in-vm" || verb == "build";
    const bool dashes = std::ranges::any_of(words, [](const char *word) { return std::string_view(word) == "--"; });
    if (!takes_command || dashes || dynamic_cast<const CLI::ExtrasError *>(&error) == nullptr) return "";
    return std::format("; a command stands after --, as in: runvm {} {} -- COMMAND", verb, verb == "exec" ? "NAME" : "SYSTEM");
}

std::string what_is_wrong(const CLI::App &app, std::span<char *> words, const CLI::ParseError &error) {
    const auto used = app.get_subcommands();
    if (used.empty() && words.size() > 1 && *words[1] != '-') return "no such command" + nearest_verb(app, words[1]);
    if (used.empty()) return error.what();
    const std::string dashes = missing_dashes(used.front()->get_name(), words, error);
    return error.what() + (dashes.empty() ? nearest_flag(used, error) : dashes);
}

int command_line(int argc, char **argv) {
    CLI::App app{"Starts NixOS virtual machines in QEMU.", "runvm"};
    app.set_version_flag("--version", "runvm " STAGE1_VERSION);
    app.require_subcommand(1);
    int status = 0;
    add_commands(app, status, argc > 1 ? argv[1] : "");
    try {
        app.parse(words_of(argc, argv));
    } catch (const CLI::ParseError &error) {
        if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
        const auto used = app.get_subcommands();
        const std::string verb = used.empty() ? "" : used.front()->get_name() + " ";
        const std::string wrong = what_is_wrong(app, std::span(argv, static_cast<size_t>(argc)), error);
        hostside::say(std::format("{}; see runvm {}--help", wrong, verb));
        return hostside::launcher_error;
    }
    return status;
}

// What a caller may have left to us otherwise. Without a standard stream, the next file that is opened, such as a lock or an
// image, would take its place and get our messages; these descriptors fail as closed ones do. If SIGCHLD is ignored, nobody
// learns how a child ended.
void begin_as_usual() {
    for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
        if (::fcntl(standard, F_GETFD) < 0) (void)::open("/dev/null", standard == STDIN_FILENO ? O_WRONLY : O_RDONLY);
    (void)std::signal(SIGCHLD, SIG_DFL);
}

}  // namespace

int main(int argc, char **argv) {
    begin_as_usual();
    try {
        return command_line(argc, argv);
    } catch (const std::exception &error) {
        hostside::say(std::format("this is a bug, please report it: {}", error.what()));
        return hostside::launcher_error;
    }
}
