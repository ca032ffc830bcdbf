// What people type after `runvm`, and in which situation.
#include <catch_amalgamated.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "mounts/base/process.h"
#include "tests/support/disk.h"
#include "tests/support/terminal.h"

namespace {

namespace fs = std::filesystem;
using Catch::Matchers::ContainsSubstring;

std::string runvm() { return (fs::read_symlink("/proc/self/exe").parent_path().parent_path() / "runvm").string(); }

std::string said(std::vector<std::string> words) {
    words.insert(words.begin(), runvm());
    const auto exit = base::run({.argv = words, .capture_output = true});
    REQUIRE(exit);
    return exit->output;
}

}  // namespace

TEST_CASE("what stands after -- is QEMU's, whatever stands before it") {
    for (const std::vector<std::string> &words : {std::vector<std::string>{"config", "--allow-reboot", "--", "-drive", "x y"},
                                                  {"config", "--", "-drive", "x y"},
                                                  {"config", "--memory", "512", "--", "-drive", "x y"}}) {
        const std::string output = said(words);
        INFO(output);
        CHECK_THAT(output, ContainsSubstring(R"(qemu.options = ["-drive","'x y'"])") && !ContainsSubstring("did you mean"));
    }
    CHECK_THAT(said({"config", "--", "--", "[a,b]", ""}), ContainsSubstring(R"(["--","'[a,b]'","''"])"));
}

TEST_CASE("a word that runvm does not know is named, with the nearest that it does") {
    CHECK_THAT(said({"run", "--memroy", "512", "--", "-drive", "x"}),
               ContainsSubstring("--memroy; did you mean --memory?; see runvm run --help"));
    CHECK_THAT(said({"stauts", "web"}), ContainsSubstring("no such command: stauts; did you mean status?"));
    CHECK(said({"help"}) == "runvm: no such command: help; see runvm --help\n");  // not near to shell
    CHECK_THAT(said({"run", "--wait"}), ContainsSubstring("not expected: --wait; see runvm run --help"));
    CHECK_THAT(said({"./result"}), ContainsSubstring(": ./result; to start a system: runvm run ./result; see runvm --help"));
}

TEST_CASE("each command that runvm lists knows itself by its name, with the same line of help") {
    const std::string all = said({"--help"});
    size_t commands = 0;
    std::istringstream lines(all.substr(all.find("Subcommands:")));
    for (std::string line; std::getline(lines, line);) {
        if (!line.starts_with("  ")) continue;
        std::istringstream words(line);
        std::string name, help;
        std::getline(words >> name >> std::ws, help);
        ++commands;
        INFO(name);
        const std::string own = said({name, "--help"});
        CHECK_THAT(own, ContainsSubstring(help) && ContainsSubstring("Usage: runvm " + name));
    }
    CHECK(commands > 20);
}

TEST_CASE("help shows the defaults that count, not what a switch alone means, which is on") {
    const std::string help = said({"run", "--help"});
    for (const char *line : {"--writable-store BOOL [true]", "--use-boot-loader BOOL [false]", "--use-efi-boot BOOL [false]",
                             "-m,--memory-size,--memory MIB [1024]", "--disk-image-format qcow2|raw [qcow2]"})
        CHECK_THAT(help, ContainsSubstring(line));
    CHECK_THAT(help, !ContainsSubstring("--use-boot-loader BOOL [true]"));
    CHECK_THAT(said({"config", "--use-boot-loader"}), ContainsSubstring("useBootLoader = true  #"));
}

TEST_CASE("a system may be the one word of run, and sizes may have units") {
    CHECK_THAT(said({"config", "./result", "--cores", "2"}), ContainsSubstring("toplevel = \"./result\"  # the system"));
    CHECK_THAT(said({"config", "--memory", "2G", "--disk-size", "512M"}),
               ContainsSubstring("memorySize = 2048  #") && ContainsSubstring("diskSize = 512  #"));
    CHECK_THAT(said({"config", "--memory", "2X"}),
               ContainsSubstring("must be a whole number of MiB, or have a unit, as in 512M or 2G, not 2X"));
}

TEST_CASE("a run in the background of a person's shell is not stopped by the terminal") {
    const support::ScratchDirectory scratch;
    fs::create_directory(scratch.path("bin"));
    fs::create_directory(scratch.path("run"));
    const std::string qemu = scratch.path("bin/qemu-system-x86_64");
    // Like QEMU, it changes the settings of the terminal on standard input, which stops a background process.
    std::ofstream(qemu) << "#!/bin/sh\ncase $1 in --version) echo QEMU emulator version 10.0.0; exit;; -sandbox) exit;; esac\n"
                           "[ -t 0 ] && stty raw\necho the machine ran\n";
    fs::permissions(qemu, fs::perms::owner_all);
    std::ofstream(scratch.path("kernel")) << "\x7f" << "ELF";
    const std::string script =
        "set -m\nexport XDG_RUNTIME_DIR=" + scratch.path("run") + " XDG_CACHE_HOME=" + scratch.path("run") +
        " XDG_STATE_HOME=" + scratch.path("run") + "\n" + runvm() + " run --store /tmp --accel tcg --disk-image= --qemu " + qemu +
        " --kernel " + scratch.path("kernel") + " --init /x >" + scratch.path("log") +
        " 2>&1 &\nfor i in $(seq 100); do sleep 0.1; jobs -r | grep -q . || break; done\njobs\nkill -9 %1\n";
    const support::Session session = support::at_a_terminal({"/bin/bash", "-c", script});
    std::ifstream log(scratch.path("log"));
    const std::string text{std::istreambuf_iterator<char>(log), {}};
    INFO(session.screen << text);
    CHECK_THAT(session.screen, !ContainsSubstring("Stopped"));
    CHECK_THAT(text, ContainsSubstring("the machine ran"));
}

TEST_CASE("the last words of a run have a colour where a terminal has one, and say what QEMU said") {
    const support::ScratchDirectory scratch;
    const std::string qemu = scratch.path("qemu-system-x86_64");
    std::ofstream(qemu) << "#!/bin/sh\ncase $1 in --version) echo QEMU emulator version 10.0.0; exit;; -sandbox) exit;; esac\n"
                           "echo 'qemu: it is broken' >&2\nexit 1\n";
    fs::permissions(qemu, fs::perms::owner_all);
    std::ofstream(scratch.path("kernel")) << "\x7f" << "ELF";
    const auto screen = [&](const std::string &variable) {
        std::vector<std::string> words{"/usr/bin/env", "TERM=xterm", variable};
        for (const char *place : {"XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "XDG_STATE_HOME"})
            words.push_back(place + ("=" + scratch.path()));
        for (const auto &word : {runvm(), std::string("run"), std::string("--store"), std::string("/tmp"), std::string("--accel"),
                                 std::string("tcg"), std::string("--disk-image="), std::string("--qemu"), qemu,
                                 std::string("--kernel"), scratch.path("kernel"), std::string("--init"), std::string("/x")})
            words.push_back(word);
        const support::Session session = support::at_a_terminal(words);
        CHECK(session.exit_code == 123);
        return session.screen;
    };
    const std::string coloured = screen("A=b"), plain = screen("NO_COLOR=1");
    INFO(coloured << plain);
    CHECK_THAT(coloured, ContainsSubstring("\x1b[1;31mrunvm: ") && ContainsSubstring(" s: QEMU failed\x1b[0m"));
    CHECK_THAT(coloured, ContainsSubstring("runvm:   why: qemu: it is broken"));
    CHECK_THAT(plain, ContainsSubstring(" s: QEMU failed") && !ContainsSubstring("\x1b[1;31m"));
    CHECK_THAT(screen("TERM=dumb"), !ContainsSubstring("\x1b[1;31m"));
}

TEST_CASE("a result that can't be written is a failure with its reason, whatever its length") {
    for (const char *words : {"config", "schema", "completion bash", "list --json"}) {
        const auto exit = base::run(
            {.argv = {"/bin/sh", "-c", std::string("exec \"$0\" ") + words + " >/dev/full", runvm()}, .capture_output = true});
        REQUIRE(exit);
        INFO(words);
        CHECK(exit->status == 124);
        CHECK(exit->output == "runvm: write 'standard output': No space left on device\n");
    }
}

TEST_CASE("a description from a pipe is read once, and a unit or a job that would read it later is refused") {
    const support::ScratchDirectory scratch;
    const auto piped = [](const std::string &words) {
        const auto exit = base::run({.argv = {"/bin/sh", "-c",
                                              R"(echo "{\"name\": \"web\", \"memorySize\": 777, \"kernel\": \"$0\"}" | "$0" )" +
                                                  words + " --config /dev/stdin",
                                              runvm()},
                                     .capture_output = true});
        REQUIRE(exit);
        return *exit;
    };
    const auto builder = piped("builder --directory " + scratch.path());
    INFO(builder.output);
    CHECK(builder.status == 0);
    CHECK_THAT(said({"config", "--config", scratch.path("web/machine.json")}), ContainsSubstring("memorySize = 777"));
    for (const char *format : {"systemd", "nomad"}) {
        const auto exported = piped(std::string("export --format ") + format);
        CHECK(exported.status == 124);
        CHECK(exported.output ==
              "runvm: export '/dev/stdin': this pipe will not exist when the machine starts; name a file with --config\n");
    }
}

TEST_CASE("a running machine that is named beside options of a machine to boot is refused") {
    for (const std::vector<std::string> &options :
         {std::vector<std::string>{"--memory", "512"}, {"--union", "disk"}, {"--icount"}, {"--from", "web.snapshot"}})
        for (const char *verb : {"exec", "shell"}) {
            std::vector<std::string> words{verb};
            words.insert(words.end(), options.begin(), options.end());
            words.emplace_back("web");
            if (words.front() == "exec") words.insert(words.end(), {"--", "true"});
            CHECK_THAT(said(words), ContainsSubstring("run in 'web': options of `runvm run` describe a machine to boot"));
        }
}

TEST_CASE("a builder that has nothing to boot is refused, and one with a kernel of its own has this host's platform") {
    const support::ScratchDirectory scratch;
    const auto builder = [&](std::vector<std::string> words) {
        words.insert(words.begin(), {"builder", "--directory", scratch.path("builders")});
        return said(words);
    };
    CHECK(builder({}) == "runvm: make builder 'nixos': it has nothing to boot; name a NixOS system: runvm builder ./result\n");
    CHECK_THAT(builder({"./no-result"}), ContainsSubstring("open toplevel './no-result': No such file or directory"));
    CHECK_FALSE(fs::exists(scratch.path("builders")));
    CHECK(builder({"--kernel", runvm()}).starts_with("ssh-ng://nixos x86_64-linux - "));
}

TEST_CASE("a command for a guest that is written without -- is told so") {
    CHECK(said({"exec", "web", "ls"}) ==
          "runvm: The following argument was not expected: ls; a command stands after --, as in: runvm exec NAME -- COMMAND; see "
          "runvm exec --help\n");
    CHECK_THAT(said({"exec", "web", "ls", "--color"}), ContainsSubstring("runvm exec NAME -- COMMAND"));
    CHECK_THAT(said({"in-vm", "./result", "mkfs.ext4"}), ContainsSubstring("runvm in-vm SYSTEM -- COMMAND"));
    CHECK_THAT(said({"exec", "--memroy", "512", "./result", "--", "ls"}), ContainsSubstring("did you mean --memory?"));
}

TEST_CASE("a file that can't be written, and a word that is none of an option's, are named as they were typed") {
    const support::ScratchDirectory scratch;
    const std::string file = scratch.path("none/web.service");
    CHECK(said({"export", "-o", file}) == "runvm: create '" + file + "': No such file or directory\n");
    CHECK(said({"reginfo", "--format", "text", "x"}) ==
          "runvm: --format: text not in {dump-db,registration,paths}; see runvm reginfo --help\n");
    CHECK(said({"stop", "--patience", "x", "web"}).starts_with("runvm: --patience: Value x not in range"));
}
