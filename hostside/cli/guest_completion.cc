#include "hostside/cli/guest_completion.h"

#include <array>
#include <format>
#include <string_view>

namespace hostside {

namespace {

struct GuestVerb {
    std::string_view name, words;
};

constexpr std::array<GuestVerb, 8> stage1_verbs{{{"devices", "--device --label --dry-run --vouched"},
                                                 {"mounts", "--target-root"},
                                                 {"register", "--target-root --reginfo --strict --live --forget"},
                                                 {"plan", "--cmdline --fstab --target-root --memory --json"},
                                                 {"tell", "ready failed exit"},
                                                 {"agent", "--system"},
                                                 {"union", "diff apply rollback"},
                                                 {"unionfs", "-o -f -d"}}};

// Values for -o; options with a value end in `=`.
constexpr std::string_view union_options =
    "lowerdir= upperdir= workdir= cow mode=auto mode=store mode=throughput io_uring=on io_uring=off max_files= submounts=hide "
    "submounts=follow chroot= allow_other nonempty hide_meta_files stale_readers trace= volatile userxattr";

std::string stage1_names() {
    std::string names;
    for (const auto &verb : stage1_verbs) (names += names.empty() ? "" : " ") += verb.name;
    return names;
}

}  // namespace

std::string guest_completion_bash() {
    std::string cases;
    for (const auto &verb : stage1_verbs) cases += std::format("    {}) words='{}' ;;\n", verb.name, verb.words);
    return std::format(R"(_stage1() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}} verb=${{COMP_WORDS[1]}} words=
    COMPREPLY=()
    ((COMP_CWORD > 1)) || verb=
    case $verb in
    '') words='{} --help --version' ;;
{}    esac
    case $before in
    --device | --target-root | --reginfo | --forget | --fstab | --system) compopt -o default; return ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}}
_unionfs() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD - 1]}} words='-o -f -d --version'
    COMPREPLY=()
    # With `=` among COMP_WORDBREAKS a value is a word of its own.
    case $before in
    -o) compopt -o nospace; words='{}' ;;
    *) [[ $word == -* ]] || compopt -o default ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}}
complete -F _stage1 stage1
complete -F _unionfs unionfs
)",
                       stage1_names(), cases, union_options);
}

std::string guest_completion_zsh() {
    std::string cases;
    for (const auto &verb : stage1_verbs) cases += std::format("    {}) compadd -- {} ;;\n", verb.name, verb.words);
    return std::format(R"(if [[ $service == stage1 ]]; then
    ((CURRENT == 2)) && compadd -- {} --help --version && return
    case $words[2] in
{}    esac
    _files
    return
elif [[ $service == unionfs ]]; then
    [[ $words[CURRENT-1] == -o ]] && compadd -S '' -- {} && return
    compadd -- -o -f -d --version
    _files
    return
fi
)",
                       stage1_names(), cases, union_options);
}

std::string guest_completion_fish() {
    std::string lines;
    for (const auto &verb : stage1_verbs) {
        lines += std::format("complete -c stage1 -n __fish_use_subcommand -a {}\n", verb.name);
        lines += std::format("complete -c stage1 -n '__fish_seen_subcommand_from {}' -a '{}'\n", verb.name, verb.words);
    }
    return lines + std::format("complete -c unionfs -s o -x -a '{}'\n", union_options);
}

}  // namespace hostside
