// What remains of a finished run, mostly of machines in the background: how it ended, its console, stage 1's report.

#include <sys/stat.h>

#include <catch_amalgamated.hpp>
#include <csignal>
#include <filesystem>
#include <format>
#include <fstream>

#include "mounts/base/at.h"
#include "tests/boot/machine.h"
#include "tests/boot/place.h"

namespace {

namespace fs = std::filesystem;
using namespace boot_test;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;

int mode_of(const std::string &path) {
    struct stat st{};
    return ::stat(path.c_str(), &st) == 0 ? static_cast<int>(st.st_mode & 07777) : -1;
}

TEST_CASE("a machine in the background that came to nothing says why, to whoever waits and to whoever asks later") {
    const Place place;
    const auto start = place.runvm({"start", "--name", "web", "--wait", "--init=/tmp/xchg/none"});
    INFO(start.output);
    CHECK(start.status == 120);
    CHECK_THAT(start.output, ContainsSubstring(" s: stage 1 failed in its phase ") &&
                                 ContainsSubstring("runvm:   why: find init '/tmp/xchg/none': No such file or directory") &&
                                 ContainsSubstring("\nrunvm:   look: runvm logs web") && EndsWith("; exit status 120\n"));
    const auto status = place.runvm({"status", "web"});
    CHECK(status.status == 1);
    CHECK_THAT(status.output,
               ContainsSubstring("web: failed ") && ContainsSubstring(" s ago, exit 120: stage 1 failed in its phase "));
    CHECK_THAT(place.runvm({"status", "web", "--json"}).output,
               ContainsSubstring(R"x("running":false,"state":"failed (120)")x") &&
                   ContainsSubstring(R"x("exit":120,"cause":"stage 1)x"));
    const auto logs = place.runvm({"logs", "web"});
    CHECK(logs.status == 0);
    CHECK_THAT(logs.output, ContainsSubstring("the boot failed: find init"));
    CHECK_FALSE(logs.output.contains("Press one of the following keys"));  // nobody could press them
    CHECK_THAT(place.runvm({"list", "--all"}).output, ContainsSubstring("web   failed (120)"));
    const std::string kept = place.directory() + "/state/runvm";
    CHECK(mode_of(kept) == 0700);
    CHECK(mode_of(kept + "/web") == 0700);
    for (const char *part : {"run", "console.log"}) CHECK(mode_of(kept + "/web/" + part) == 0600);
}

TEST_CASE("of a machine whose launcher was killed the console is kept, and where it had come to") {
    const Place place("touch /tmp/shared/up; sleep 1000");
    REQUIRE(place.runvm({"start", "--name", "web", "--wait"}).status == 0);
    (void)place.wait_for("up");
    REQUIRE(::kill(place.holder("web"), SIGKILL) == 0);
    REQUIRE(within(10, [&] { return place.runvm({"list", "--names"}).output.empty(); }));
    CHECK_THAT(place.runvm({"logs", "web"}).output, ContainsSubstring("fixture: stage 2 at "));
    const auto status = place.runvm({"status", "web"});
    CHECK(status.status == 1);
    CHECK_THAT(status.output, ContainsSubstring("web: cut off ") && ContainsSubstring("it had reached: stage 2"));
    CHECK_FALSE(fs::exists(place.runtime() + "/web"));
}

TEST_CASE(
    "start --wait=ready returns when the guest is ready, and tells of one that ended before; the report is there during and "
    "after") {
    const Place place("[ -e /tmp/shared/early ] && exit 7; /tmp/shared/stage1 tell ready; sleep 1000");
    fs::copy_file(build_directory() / "stage1", place.shared() + "/stage1");
    std::ofstream(place.shared() + "/early") << "so";
    const auto early = place.runvm({"start", "--name", "web", "--wait=ready"});
    CHECK(early.status == 7);
    CHECK_THAT(early.output, ContainsSubstring("the guest failed with status 7"));
    fs::remove(place.shared() + "/early");
    const auto ready = place.runvm({"start", "--name", "web", "--wait=ready"});
    CHECK(ready.status == 0);
    CHECK(ready.output.empty());
    CHECK_THAT(place.runvm({"status", "web"}).output, ContainsSubstring(", at: ready, up "));
    const std::string running = place.runvm({"report", "web"}).output;
    CHECK_THAT(running, ContainsSubstring("web: stage 1 took ") && ContainsSubstring("\nkernel ") &&
                            ContainsSubstring("\nslowest steps\n"));
    CHECK(place.runvm({"stop", "web", "--now"}).status == 0);
    CHECK(place.runvm({"report", "web"}).output == running);  // kept
    CHECK(place.runvm({"report"}).output == running);         // the one that ended last
    CHECK_THAT(place.runvm({"report", "--compare", "web", "web", "--limit", "0"}).output, ContainsSubstring("+0.0 ms  all\n"));
}

}  // namespace
