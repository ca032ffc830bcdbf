// The shell completions that `runvm completion` prints. The tests ask bash's completions as bash does. Those of zsh and fish
// come from the same list, and must contain every flag.

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>
#include <sstream>

#include "hostside/description/description.h"
#include "mounts/base/process.h"

namespace {

std::string runvm() { return (std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "runvm").string(); }

std::string output_of(const std::vector<std::string> &argv) {
    const auto exit = base::run({.argv = argv, .capture_output = true});
    REQUIRE(exit);
    INFO(exit->output);
    REQUIRE(exit->status == 0);
    return exit->output;
}

// What bash offers while the last of these words is typed.
std::string offered(const std::string &words) {
    const std::string ask =
        R"sh(compopt() { :; }; eval "$("$0" completion bash)"; eval "COMP_WORDS=($1)"; COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_runvm; echo "${COMPREPLY[*]}")sh";
    return output_of({"/bin/bash", "-c", ask, runvm(), words});
}

}  // namespace

TEST_CASE("bash completes verbs, flags, their values and machines") {
    CHECK(offered("runvm st") == "start status stop\n");
    CHECK(offered("runvm rel") == "\n");  // one of QEMU's flags
    CHECK(offered("runvm run --acc") == "--accelerator --accel\n");
    CHECK(offered("runvm run --accel ''") == "auto kvm tcg\n");
    CHECK(offered("runvm run --graphics o") == "on off\n");
    CHECK(offered("runvm run --qemu-option ''") == "\n");
    CHECK(offered("runvm reginfo --format ''") == "dump-db registration paths\n");
    CHECK(offered("runvm export --format ''") == "systemd nomad libvirt kubevirt\n");
    CHECK(offered("runvm builder --protocol ''") == "ssh-ng ssh\n");
    CHECK(offered("runvm fleet i") == "init\n");
    CHECK(offered("runvm fleet --fa") == "--fail-fast\n");
    CHECK(offered("runvm completion ''") == "bash zsh fish --help -h\n");
}

TEST_CASE("bash runs nothing that a machine's name says, and does not offer such a name") {
    const std::string ask =
        R"sh(eval "$("$0" completion bash)"; runvm() { printf '%s\n' web 'w$(echo oops >&2)' 'w`echo oops >&2`' w.2; }
COMP_WORDS=(runvm stop w) COMP_CWORD=2; _runvm; echo "${COMPREPLY[*]}")sh";
    CHECK(output_of({"/bin/bash", "-c", ask, runvm()}) == "web w.2\n");
}

TEST_CASE("every option's flag is in every shell's completion") {
    const std::string bash = output_of({runvm(), "completion", "bash"});
    const std::string zsh = output_of({runvm(), "completion", "zsh"});
    const std::string fish = output_of({runvm(), "completion", "fish"});
    for (const auto &key : hostside::keys()) {
        using Catch::Matchers::ContainsSubstring;
        CHECK_THAT(bash, ContainsSubstring(" " + key.flag + " "));
        CHECK_THAT(zsh, ContainsSubstring("'*" + key.flag + "["));
        CHECK_THAT(fish, ContainsSubstring(" -l " + key.flag.substr(2) + " "));
    }
}

// Options of the union with a value end in `=`; mode= and similar ones are offered with each value.
TEST_CASE("stage1 and unionfs are completed with the words that they take themselves, in every shell") {
    const auto stage1 = std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "stage1";
    std::vector<std::string> words;
    const auto take = [&](const std::string &help, char first) {
        std::istringstream text(help);
        for (std::string line; std::getline(text, line);) {
            std::istringstream of_line(line);
            std::string word;
            of_line >> word;
            if (line.starts_with("  ") && !line.starts_with("   ") && word != "--version" &&
                (first == 0 || word.starts_with(first)) && word != "-h,--help" && word != "init")
                words.push_back(word.substr(0, word.find('=') == std::string::npos ? word.find(',') : word.find('=')));
        }
    };
    for (const char *verb : {"devices", "mounts", "register", "plan", "agent"}) take(output_of({stage1, verb, "--help"}), '-');
    const std::string all = output_of({stage1, "--help"});
    take(all.substr(all.find("Subcommands:")), 0);
    const std::string of_union = output_of({stage1, "unionfs", "-o", "help"});
    take(of_union.substr(of_union.find("  lowerdir=")), 0);
    CHECK(words.size() > 25);
    for (const char *shell : {"bash", "zsh", "fish"}) {
        const std::string completion = output_of({runvm(), "completion", shell});
        for (const auto &word : words) CHECK_THAT(completion, Catch::Matchers::ContainsSubstring(word));
    }
    const std::string ask =
        R"sh(compopt() { :; }; eval "$("$0" completion bash)"; eval "COMP_WORDS=($1)"; COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_${COMP_WORDS[0]}; echo "${COMPREPLY[*]}")sh";
    const auto offers = [&](const std::string &typed) { return output_of({"/bin/bash", "-c", ask, runvm(), typed}); };
    CHECK(offers("stage1 re") == "register\n");
    CHECK(offers("stage1 register --s") == "--strict\n");
    CHECK(offers("stage1 tell r") == "ready\n");
    CHECK(offers("unionfs -o mode=") == "mode=auto mode=store mode=throughput\n");
    CHECK(offered("runvm run --union ''") == "off tmpfs disk\n");
}
