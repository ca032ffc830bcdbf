#include "hostside/cli/completion_command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <format>
#include <map>
#include <string>
#include <vector>

#include "hostside/cli/guest_completion.h"
#include "hostside/cli/reporter.h"

namespace hostside {

namespace {

// The type of a flag's value, for the shell's completion.
enum class Value { none, choices, file, directory, text };

struct CompletedFlag {
    std::vector<std::string> names;  // with dashes
    std::string help;
    Value value = Value::none;
    std::vector<std::string> choices{};
};

struct Verb {
    std::string name, help;
    bool takes_machine = false, takes_file = false;
    std::vector<std::string> words{};  // its subcommands
    std::vector<CompletedFlag> flags{};
};

constexpr const char *list_machines = "runvm list --names 2>/dev/null";

std::string joined(const std::vector<std::string> &words, std::string_view between) {
    std::string text;
    for (const auto &word : words) text.append(text.empty() ? "" : between).append(word);
    return text;
}

CompletedFlag flag_of(const CLI::Option &option) {
    CompletedFlag flag{.names = {}, .help = option.get_description()};
    for (const auto &name : option.get_lnames()) flag.names.push_back("--" + name);
    for (const auto &name : option.get_snames()) flag.names.push_back("-" + name);
    const std::string type = option.get_type_name();
    if (option.get_items_expected_max() == 0) return flag;
    flag.value = type == "FILE" ? Value::file : type == "DIR" ? Value::directory : Value::text;
    const std::string choices = type == "BOOL" ? "on|off" : type;
    const bool words =
        std::ranges::all_of(choices, [](unsigned char c) { return std::islower(c) || std::isdigit(c) || c == '|' || c == '-'; });
    if (!words || !choices.contains('|')) return flag;
    flag.value = Value::choices;
    flag.choices = CLI::detail::split(choices, '|');
    return flag;
}

std::vector<Verb> verbs_of(const CLI::App &app) {
    std::vector<Verb> verbs;
    // Commands without a group are not for users.
    for (const auto *command : app.get_subcommands([](const CLI::App *c) { return !c->get_group().empty(); })) {
        Verb verb{.name = command->get_name(), .help = command->get_description()};
        for (const auto *option : command->get_options()) {
            if (option->get_group().empty()) continue;  // not for users
            if (!option->get_positional() || !option->get_lnames().empty())
                verb.flags.push_back(flag_of(*option));
            else if (option->get_type_name() == "FILE")
                verb.takes_file = true;
            else
                verb.takes_machine = verb.takes_machine || option->get_name() == "name" || option->get_name() == "NAME";
        }
        for (const auto *inner : command->get_subcommands([](const CLI::App *) { return true; }))
            verb.words.push_back(inner->get_name());
        verbs.push_back(std::move(verb));
    }
    return verbs;
}

std::vector<std::string> all_words(const Verb &verb) {
    std::vector<std::string> names = verb.words;
    for (const auto &flag : verb.flags) names.insert(names.end(), flag.names.begin(), flag.names.end());
    return names;
}

// What bash does about the value of a flag; empty: the flag has none.
std::string bash_action(const CompletedFlag &flag) {
    switch (flag.value) {
    case Value::none: return "";
    case Value::choices: return std::format("words='{}'", joined(flag.choices, " "));
    case Value::file: return "compopt -o default; return";
    case Value::directory: return "compopt -o dirnames; return";
    case Value::text: return "return";
    }
    return "";
}

// Most flags mean the same for all verbs; the others come first.
std::string bash_values(const std::vector<Verb> &verbs) {
    std::string of_verb, of_all;
    std::map<std::string, std::string> known;
    for (const auto &verb : verbs)
        for (const auto &flag : verb.flags)
            for (const auto &name : flag.names) {
                const std::string action = bash_action(flag);
                const auto [first, fresh] = known.emplace(name, action);
                if (fresh && !action.empty()) of_all += std::format("    *:{}) {} ;;\n", name, action);
                if (first->second != action) of_verb += std::format("    {}:{}) {} ;;\n", verb.name, name, action);
            }
    return of_verb + of_all;
}

std::string bash(const std::vector<Verb> &verbs) {
    std::vector<std::string> names;
    std::string flags;
    for (const auto &verb : verbs) {
        names.push_back(verb.name);
        flags += std::format("    {})\n        words='{}'\n", verb.name, joined(all_words(verb), " "));
        // compgen expands its words, and bash inserts them unquoted, so a name with special characters is not offered.
        if (verb.takes_machine)
            flags += std::format("        [[ $word == -* ]] || words=$({} | grep -x '[A-Za-z0-9_.+@:-]*')\n", list_machines);
        if (verb.takes_file) flags += "        [[ $word == -* ]] || compopt -o default\n";
        flags += "        ;;\n";
    }
    return std::format(R"(# bash completion of runvm, made by: runvm completion bash
_runvm() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}} verb=${{COMP_WORDS[1]}} words=
    COMPREPLY=()
    ((COMP_CWORD > 1)) || verb=
    case $verb in
    '') words='{} --help --version' ;;
{}    esac
    case $verb:$before in
{}    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}}
complete -F _runvm runvm
)",
                       joined(names, " "), flags, bash_values(verbs)) +
           guest_completion_bash();
}

// Escapes text for a single-quoted word of zsh's _arguments: quotes and special characters.
std::string zsh_text(std::string_view text) {
    std::string result;
    for (const char c : text) {
        if (c == '\'')
            result += "'\\''";
        else if (c == '[' || c == ']' || c == ':' || c == '\\')
            (result += '\\') += c;
        else
            result += c;
    }
    return result;
}

std::string zsh(const std::vector<Verb> &verbs) {
    std::string names, cases;
    for (const auto &verb : verbs) {
        names += std::format("    '{}:{}'\n", verb.name, zsh_text(verb.help));
        cases += std::format("{})\n    _arguments", verb.name);
        for (const auto &flag : verb.flags) {
            std::string action;
            if (flag.value == Value::choices) action = std::format(":value:({})", joined(flag.choices, " "));
            if (flag.value == Value::file) action = ":file:_files";
            if (flag.value == Value::directory) action = ":directory:_files -/";
            if (flag.value == Value::text) action = ":value: ";
            for (const auto &name : flag.names)
                cases += std::format(" \\\n        '*{}[{}]{}'", name, zsh_text(flag.help), action);
        }
        if (verb.takes_machine) cases += std::format(" \\\n        '1:machine:{{compadd -- ${{(f)\"$({})\"}}}}'", list_machines);
        if (verb.takes_file)
            cases += " \\\n        '1:file:_files'";
        else if (!verb.words.empty())
            cases += std::format(" \\\n        '1:command:({})'", joined(verb.words, " "));
        cases += "\n    ;;\n";
    }
    return std::format(R"(#compdef runvm stage1 unionfs
# zsh completion of runvm, stage1 and unionfs, made by: runvm completion zsh
{}local -a verbs
verbs=(
{})
if ((CURRENT == 2)); then
    _describe command verbs
    return
fi
local verb=$words[2]
shift words
((CURRENT--))
case $verb in
{}esac
)",
                       guest_completion_zsh(), names, cases);
}

std::string fish_text(std::string_view text) {
    std::string result;
    for (const char c : text) result += c == '\'' || c == '\\' ? std::string("\\") + c : std::string(1, c);
    return result;
}

std::string fish(const std::vector<Verb> &verbs) {
    std::string lines = "# fish completion of runvm, made by: runvm completion fish\ncomplete -c runvm -f\n";
    for (const auto &verb : verbs)
        lines += std::format("complete -c runvm -n __fish_use_subcommand -a {} -d '{}'\n", verb.name, fish_text(verb.help));
    for (const auto &verb : verbs) {
        const std::string of_verb = std::format("complete -c runvm -n '__fish_seen_subcommand_from {}'", verb.name);
        if (verb.takes_machine) lines += std::format("{} -a '({})'\n", of_verb, list_machines);
        if (verb.takes_file) lines += of_verb + " -F\n";
        if (!verb.words.empty()) lines += std::format("{} -a '{}'\n", of_verb, joined(verb.words, " "));
        for (const auto &flag : verb.flags) {
            lines += of_verb;
            for (const auto &name : flag.names)
                lines += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
            if (flag.value == Value::file || flag.value == Value::directory) lines += " -r -F";
            if (flag.value == Value::text) lines += " -x";
            if (flag.value == Value::choices) lines += std::format(" -x -a '{}'", joined(flag.choices, " "));
            lines += std::format(" -d '{}'\n", fish_text(flag.help));
        }
    }
    return lines + guest_completion_fish();
}

}  // namespace

void add_completion_command(CLI::App &app, int &status) {
    CLI::App *command = app.add_subcommand("completion", "print the completion script of a shell");
    for (const auto &[shell, print] : {std::pair{"bash", &bash}, {"zsh", &zsh}, {"fish", &fish}})
        command->add_subcommand(shell, std::format("for {}", shell))->callback([&app, &status, print] {
            status = print_result(print(verbs_of(app)));
        });
    command->require_subcommand(1);
}

}  // namespace hostside
