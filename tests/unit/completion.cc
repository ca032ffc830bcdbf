// The shells' completions, as `runvm completion` prints them. Bash's are asked as bash asks them; those of zsh and fish
// are made from the same list, and must name every flag.

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>

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

// What bash offers when the last of these words is being typed.
std::string offered(const std::string &words) {
    const std::string ask =
        R"sh(compopt() { :; }; eval "$("$0" completion bash)"; eval "COMP_WORDS=($1)"; COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_runvm; echo "${COMPREPLY[*]}")sh";
    return output_of({"/bin/bash", "-c", ask, runvm(), words});
}

}  // namespace

TEST_CASE("bash completes verbs, flags, their values and machines") {
    CHECK(offered("runvm st") == "start status stop\n");
    CHECK(offered("runvm rel") == "\n");  // QEMU's own
    CHECK(offered("runvm run --acc") == "--accelerator --accel\n");
    CHECK(offered("runvm run --accel ''") == "auto kvm tcg\n");
    CHECK(offered("runvm run --graphics o") == "on off\n");
    CHECK(offered("runvm run --qemu-option ''") == "\n");
    CHECK(offered("runvm fleet i") == "init\n");
    CHECK(offered("runvm fleet --fa") == "--fail-fast\n");
    CHECK(offered("runvm completion ''") == "bash zsh fish --help -h\n");
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
