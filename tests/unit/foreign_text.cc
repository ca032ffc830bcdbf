// Text from others that reaches a person's terminal: descriptions, file names, images, consoles. An escape sequence in it would
// move the cursor, hide a line or type into the shell.
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <cstdlib>
#include <filesystem>

#include "hostside/base/printable.h"
#include "hostside/base/run_names.h"
#include "hostside/host/run_directory.h"
#include "mounts/base/at.h"
#include "mounts/base/process.h"
#include "tests/support/disk.h"
#include "tests/support/terminal.h"

namespace {

std::string runvm() { return (std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "runvm").string(); }

std::string said(std::vector<std::string> argv) {
    argv.insert(argv.begin(), runvm());
    const auto exit = base::run({.argv = argv, .capture_output = true});
    REQUIRE(exit);
    REQUIRE_FALSE(exit->output.empty());
    return exit->output;
}

bool harmless(const std::string &text) { return text.find_first_of("\x1b\x07\x9b") == std::string::npos; }

}  // namespace

TEST_CASE("a description's keys and values, and its file's name, reach the terminal without their escape sequences") {
    const support::ScratchDirectory scratch;
    const std::string file = scratch.path("a\x1b[2Jname.json");
    const auto with = [&](const std::string &json) {
        REQUIRE(base::replace_file(file, json));
        return said({"config", "--config", file});
    };
    for (const char *json : {R"({"\u001b[2J": 1})", R"({"memorySize": "\u001b[2J\u009b"})", R"({"name": )",
                             "{\"name\": \"\xc2\x9b\", \"memorySize\": 512}"}) {
        const std::string output = with(json);
        INFO(output);
        CHECK(harmless(output));
        CHECK(output.contains("?[2Jname.json"));
    }
}

TEST_CASE("words of the command line and of a graph are printed without their escape sequences") {
    for (const auto &words : {std::vector<std::string>{"run", "--x\x1b[2J"},
                              {"status", "\x1b[2J"},
                              {"reginfo", "--graph", "\x1b[2J"},
                              {"run", "--store", "/", "--qemu", "\x1b[2J"}}) {
        const std::string output = said(words);
        INFO(output);
        CHECK(harmless(output));
        CHECK(output.contains("?[2J"));
    }
}

TEST_CASE("a console's log is shown on a terminal without its escape sequences, and piped as it is") {
    const support::ScratchDirectory scratch;
    ::setenv("XDG_RUNTIME_DIR", scratch.path().c_str(), 1);
    {
        const auto directory = hostside::RunDirectory::create("loud", false);
        REQUIRE(directory);
        const std::string text = "\x1b[1;32m ok \x1b[0m\r\n\x1b]0;title\x07\tend\n";
        REQUIRE(base::replace_file(directory->path() + "/" + std::string(hostside::console_log), text));
        CHECK(said({"logs", "loud"}) == text);
        CHECK(support::at_a_terminal({runvm(), "logs", "loud"}).screen == " ok \r\n\tend\r\n");
    }
    ::unsetenv("XDG_RUNTIME_DIR");
}

TEST_CASE("a log's lines stay lines when it is made printable") {
    CHECK(hostside::printable_lines("a\tb\r\n\x1b[31;1mc\x1b[K\n") == "a\tb\nc\n");
    CHECK(hostside::printable_lines("\x1b") == "?");
    CHECK(hostside::printable_lines("\x1b[").empty());
    CHECK(hostside::printable_lines("\x1b[\nnext\x9b") == "\nnext?");
    // Sequences of two characters: systemd goes up a line with one before it writes over its own.
    CHECK(hostside::printable_lines("\x1bM\r\x1b[Ka\x1b"
                                    "7b\x1b\xc3\xbc") == "ab?\xc3\xbc");
    // Strings end with BEL or ST, or with their line.
    CHECK(hostside::printable_lines("\x1b]0;title\x07y\x1b]3008;x=1\x1b\\z\x1bP+q\nnext") == "yz\nnext");
}
