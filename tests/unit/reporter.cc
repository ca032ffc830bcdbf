#include "hostside/cli/reporter.h"

#include <fcntl.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>

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
        hostside::Reporter(true, nullptr).event("exit", "3");
        hostside::Reporter(false, nullptr).note("words");
    } catch (...) {
        thrown = true;
    }
    REQUIRE(::dup2(kept.get(), STDERR_FILENO) >= 0);
    CHECK_FALSE(thrown);
}
