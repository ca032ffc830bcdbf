#include "hostside/cli/reporter.h"

#include <fcntl.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>

#include "mounts/base/at.h"
#include "mounts/base/fd.h"

TEST_CASE("a run goes on when nothing can be written to standard error") {
    const base::Fd kept(::dup(STDERR_FILENO));
    const base::Fd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
    REQUIRE(kept);
    REQUIRE(full);
    REQUIRE(::dup2(full.get(), STDERR_FILENO) >= 0);
    bool thrown = false;
    try {
        hostside::say("words");
        hostside::Reporter(true, nullptr).event({.kind = hostside::RunEvent::exit, .number = 3});
        hostside::Reporter(false, nullptr).note("words");
    } catch (...) {
        thrown = true;
    }
    REQUIRE(::dup2(kept.get(), STDERR_FILENO) >= 0);
    CHECK_FALSE(thrown);
}

TEST_CASE("an event has the name that the manual gives it, and its number or its words") {
    using hostside::RunEvent;
    CHECK(name(RunEvent::guest_exit) == "guest-exit");
    CHECK(hostside::detail({.kind = RunEvent::guest_exit, .number = 7}) == "7");
    CHECK(name(RunEvent::stage1_failure) == "stage1-failed");
    CHECK(hostside::detail({RunEvent::stage1_failure, "no root"}) == "no root");
    const auto manual = base::read_file("hostside/man/runvm.1");
    REQUIRE(manual);
    for (int kind = 0; kind <= RunEvent::exit; ++kind) {
        std::string written;
        for (const char c : name(static_cast<RunEvent::Kind>(kind))) written += c == '-' ? "\\-" : std::string(1, c);
        INFO(written);
        const bool of_two = kind == RunEvent::disk_full || kind == RunEvent::disk_error;
        CHECK(manual->contains(of_two ? R"(.BR disk\-full ", " disk\-error)" : "\n.B " + written + "\n"));
    }
}
