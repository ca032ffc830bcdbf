// The agent's wait for a unit, with a systemctl of the test's own, in a mount namespace where /run says that systemd is PID 1.

#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch_amalgamated.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "mounts/base/at.h"
#include "mounts/base/fd.h"
#include "stage1/agent/task.h"
#include "tests/support/disk.h"

namespace {

namespace fs = std::filesystem;

// The task's status and what it said.
std::pair<int, std::string> waited_for(const std::string &unit, const std::string &systemctl) {
    const support::ScratchDirectory programs;
    std::ofstream(programs.path("systemctl")) << "#!/bin/sh\n" << systemctl;
    fs::permissions(programs.path("systemctl"), fs::perms::owner_all);
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    const base::Fd read_end(ends[0]);
    base::Fd write_end(ends[1]);
    const pid_t pid = ::fork();
    REQUIRE(pid >= 0);
    if (pid == 0) {
        constexpr int no_namespace = 99;
        if (::unshare(CLONE_NEWNS) < 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0 ||
            ::mount("run", "/run", "tmpfs", 0, "size=1m") < 0 || ::mkdir("/run/systemd", 0755) < 0 ||
            ::mkdir("/run/systemd/system", 0755) < 0 || ::dup2(write_end.get(), STDERR_FILENO) < 0)
            ::_exit(no_namespace);
        (void)::setenv("PATH", (programs.path("") + ":/usr/bin:/bin").c_str(), 1);
        ::_exit(stage1::do_task("wait-for " + unit));
    }
    write_end.reset();
    const std::string said = base::read_all(read_end.get(), "pipe", 65536).value_or("");
    int status = 0;
    REQUIRE(::waitpid(pid, &status, 0) == pid);
    return {WEXITSTATUS(status), said};
}

TEST_CASE("a target that is never reached is told with its state, the system's and the units that failed") {
    if (::geteuid() != 0) SKIP("only root can make /run say that systemd runs");
    const auto [status, said] = waited_for("web.target", R"(case "$1 $2" in
"is-active web.target") echo inactive; exit 3;;
"is-system-running ") echo degraded; exit 1;;
"list-units --state=failed") echo 'database.service loaded failed failed the database';;
*) exit 9;;
esac
)");
    CHECK(status == 1);
    CHECK(said ==
          "wait for 'web.target': it is inactive, the system is degraded; failed units:\n"
          "database.service loaded failed failed the database\n");
}

TEST_CASE("a unit that is active is waited for no longer") {
    if (::geteuid() != 0) SKIP("only root can make /run say that systemd runs");
    const auto [status, said] = waited_for("web.target", "echo active\n");
    CHECK(status == 0);
    CHECK(said.empty());
}

}  // namespace
