// What is kept of a finished run, where, and where nothing may be written.
#include "hostside/host/last_run.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <cstdlib>
#include <filesystem>
#include <format>
#include <fstream>

#include "mounts/base/at.h"
#include "tests/support/disk.h"

namespace {

namespace fs = std::filesystem;
using hostside::RunRecord;

struct State {
    support::ScratchDirectory scratch;
    State() { ::setenv("XDG_STATE_HOME", scratch.path("state").c_str(), 1); }
    ~State() { ::unsetenv("XDG_STATE_HOME"); }
    State(const State &) = delete;
    State &operator=(const State &) = delete;
    [[nodiscard]] std::string run(const std::string &name) const {
        fs::create_directories(scratch.path(name + "/xchg"));
        return scratch.path(name);
    }
    [[nodiscard]] std::string kept(const std::string &name) const { return scratch.path("state/runvm/" + name); }
};

}  // namespace

TEST_CASE("a run's record, both parts of its console and its report are kept, for their owner alone") {
    const State state;
    const std::string run = state.run("web");
    std::ofstream(run + "/console.log.1") << "old\n";
    std::ofstream(run + "/console.log") << "new\n";
    std::ofstream(run + "/xchg/stage1-report.json") << "{}";
    REQUIRE(hostside::keep_run(run, run + "/xchg", {.started_s = 10, .ended_s = 20, .exit_code = 120, .cause = "a\nb\x1b[2J"}));
    CHECK(hostside::last_console("web").value() == "old\nnew\n");
    CHECK(hostside::last_report("web").value() == "{}");
    const RunRecord record = hostside::last_run("web").value();
    CHECK(record.ended_s == 20);
    CHECK(record.exit_code == 120);
    CHECK(record.cause == "a?b?[2J");
    for (const char *part : {"", "/run", "/console.log", "/console.log.1", "/report.json"})
        CHECK((fs::status(state.kept("web") + part).permissions() & (fs::perms::group_all | fs::perms::others_all)) ==
              fs::perms::none);
    // The next run with this name replaces it completely, although it had no output and no report.
    fs::remove(run + "/console.log");
    fs::remove(run + "/console.log.1");
    fs::remove(run + "/xchg/stage1-report.json");
    REQUIRE(hostside::keep_run(run, run + "/xchg", {.ended_s = 30, .exit_code = 0}));
    CHECK(hostside::last_console("web").value().empty());
    CHECK(base::message(hostside::last_report("web").error()) ==
          "find report 'web': No such file or directory; the last run of this name left none: stage 1 did not get that far");
    CHECK(hostside::last_run("web").value().exit_code == 0);
}

TEST_CASE("what a guest left in the place of its report is not kept, and nothing is followed") {
    const State state;
    const std::string run = state.run("web");
    std::ofstream(state.scratch.path("secret")) << "secret";
    fs::create_symlink(state.scratch.path("secret"), run + "/xchg/stage1-report.json");
    REQUIRE(hostside::keep_run(run, run + "/xchg", {.exit_code = 0}));
    CHECK_FALSE(hostside::last_report("web"));
    fs::remove(run + "/xchg/stage1-report.json");
    REQUIRE(::mkfifo((run + "/xchg/stage1-report.json").c_str(), 0600) == 0);
    REQUIRE(hostside::keep_run(run, run + "/xchg", {.exit_code = 0}));
    CHECK_FALSE(hostside::last_report("web"));
}

TEST_CASE("of more than 32 names those go whose run ended longest ago") {
    const State state;
    for (int i = 0; i < 35; ++i) {
        const std::string run = state.run(std::format("m{}", i));
        REQUIRE(hostside::keep_run(run, run + "/xchg", {.ended_s = 1000 - i, .exit_code = 0}));
    }
    CHECK(hostside::last_runs().size() == 32);
    CHECK(hostside::last_run("m0"));
    CHECK_FALSE(fs::exists(state.kept("m34")));
}

TEST_CASE("without a place for it nothing is kept, and nothing is made") {
    const support::ScratchDirectory scratch;
    const auto keep = [&] { return hostside::keep_run(scratch.path("web"), scratch.path("xchg"), {.exit_code = 3}); };
    const std::string home = std::getenv("HOME") == nullptr ? "" : std::getenv("HOME");
    ::setenv("XDG_STATE_HOME", scratch.path("absent/state").c_str(), 1);
    CHECK_FALSE(keep());
    ::unsetenv("XDG_STATE_HOME");
    ::setenv("HOME", scratch.path("homeless-shelter").c_str(), 1);
    CHECK_FALSE(keep());
    ::unsetenv("HOME");
    CHECK_FALSE(keep());
    CHECK(hostside::last_runs().empty());
    CHECK(fs::is_empty(scratch.path()));
    std::ofstream(scratch.path("file")) << "";
    ::setenv("HOME", scratch.path("file").c_str(), 1);  // ENOTDIR, like a home that can't be written, but also for root
    CHECK_FALSE(keep());
    ::setenv("HOME", home.c_str(), 1);
    // Other users could replace it there.
    ::setenv("XDG_STATE_HOME", scratch.path("open").c_str(), 1);
    fs::create_directory(scratch.path("open"));
    fs::permissions(scratch.path("open"), fs::perms::all);
    CHECK_FALSE(keep());
    CHECK(fs::is_empty(scratch.path("open")));
    ::unsetenv("XDG_STATE_HOME");
}

TEST_CASE("a name from the command line leads nowhere else") {
    const State state;
    fs::create_directories(state.kept("web"));
    std::ofstream(state.scratch.path("state/run")) << "exit 3\n";
    for (const char *name : {"..", ".", "", "web/../..", "/etc"}) CHECK_FALSE(hostside::last_run(name));
}

TEST_CASE("how a run ended, in words") {
    CHECK(hostside::how_it_ended({.ended_s = 100, .exit_code = 120, .cause = "stage 1 failed: no"}, 120) ==
          "failed 20 s ago, exit 120: stage 1 failed: no");
    CHECK(hostside::how_it_ended({.ended_s = 100, .exit_code = 143, .cause = "SIGTERM"}, 120) ==
          "stopped 20 s ago, exit 143: SIGTERM");
    CHECK(hostside::how_it_ended({.ended_s = 100, .exit_code = 0}, 100 + 600) == "ended 10 min ago");
    CHECK(hostside::how_it_ended({.ended_s = 100, .exit_code = -1, .cause = "its launcher was killed"}, 100 + 3 * 86400) ==
          "cut off 3 d ago: its launcher was killed");
}
