// stage1 as PID 1 must never exit: the kernel would panic, and nobody would know why.
#include <sys/wait.h>

#include <catch_amalgamated.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>

#include "mounts/base/process.h"
#include "tests/support/pid_one.h"

namespace {

using Catch::Matchers::ContainsSubstring;
using support::PidOne;

#define NEEDS_PID_NAMESPACES() \
    if (const std::string missing = support::pid_namespaces_missing(); !missing.empty()) SKIP(missing)

std::string stage1_program() { return std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "stage1"; }

constexpr const char *early_failure = "stage1: the boot failed: mount '/proc': Not a directory\n";
constexpr const char *menu_end = "*) to ignore the error and continue\n";

TEST_CASE("PID 1 whose first mount fails says so, and each failure that follows, and stays") {
    NEEDS_PID_NAMESPACES();
    PidOne init(stage1_program());
    CHECK_THAT(init.wait_for(menu_end), ContainsSubstring(early_failure) && ContainsSubstring("  r) to reboot immediately"));
    init.press('x');
    constexpr const char *next = "the boot failed: open '/proc/cmdline': Not a directory\n";
    CHECK_THAT(init.wait_for(next), ContainsSubstring("Continuing...") && ContainsSubstring(next));
    CHECK(init.alive());
}

TEST_CASE("a fault or an abort of PID 1 is told, with what was under way, and does not end it; nor does a second one") {
    NEEDS_PID_NAMESPACES();
    const auto [signal, name] = GENERATE(table<int, std::string>({{SIGSEGV, "Segmentation fault"},
                                                                  {SIGBUS, "Bus error"},
                                                                  {SIGILL, "Illegal instruction"},
                                                                  {SIGFPE, "Arithmetic exception"},
                                                                  {SIGABRT, "Aborted"}}));
    PidOne init(stage1_program());
    (void)init.wait_for(menu_end);
    init.send(signal);
    const std::string told =
        "stage1: the boot failed: a bug in stage1, please report it: " + name + ", during: the kernel's own file systems\n";
    CHECK_THAT(init.wait_for(told), ContainsSubstring(told));
    CHECK(init.alive());
    init.send(signal);
    CHECK_THAT(init.wait_for("failed again"),
               ContainsSubstring("stage1: it failed again while reporting a failure: " + name + "\n"));
    CHECK(init.alive());
}

TEST_CASE("PID 1 that gets no memory says what it can, and stays") {
    NEEDS_PID_NAMESPACES();
    size_t told = 0;
    // From little more than the program itself up to enough memory.
    for (uint64_t kib = 3584; kib <= 5120; kib += 64) {
        INFO(kib << " KiB");
        PidOne init(stage1_program(), kib * 1024);
        const std::string said = init.wait_for("failed");
        if (!init.alive() && said.empty()) continue;  // the kernel could not start it
        CHECK(init.alive());
        CHECK_THAT(said, ContainsSubstring("failed"));
        ++told;
    }
    CHECK(told > 5);
}

TEST_CASE("PID 1 reaps what others leave to it, while it waits for a key") {
    NEEDS_PID_NAMESPACES();
    PidOne init(stage1_program());
    (void)init.wait_for(menu_end);
    base::Fd orphan = init.leave_an_orphan();
    CHECK(init.children() == 1);
    orphan.reset();
    for (int tries = 0; init.children() != 0 && tries < 300; ++tries) std::this_thread::sleep_for(std::chrono::milliseconds(100));
    CHECK(init.children() == 0);
    CHECK(init.alive());
}

TEST_CASE("stage1 as the only program of a container does what it was asked for, and is no init") {
    NEEDS_PID_NAMESPACES();
    const auto exit = base::run(
        {.argv = {"unshare", "--pid", "--fork", stage1_program(), "plan", "--cmdline", "init=/stage2"}, .capture_output = true});
    REQUIRE(exit);
    CHECK(exit->status == 0);
    CHECK_THAT(exit->output, ContainsSubstring("switch_root /mnt-root /stage2"));
    const auto untold = base::run(
        {.argv = {"timeout", "-s", "KILL", "20", "unshare", "--pid", "--fork", "--kill-child", stage1_program(), "tell", "ready"},
         .capture_output = true});
    REQUIRE(untold);
    CHECK(untold->status == 1);
    CHECK_THAT(untold->output, ContainsSubstring("find port 'org.nixos.runvm.status': No such device"));
}

}  // namespace
