// Programs beside QEMU, such as swtpm and virtiofsd.
#include "hostside/base/companion.h"

#include <signal.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>

#include "mounts/base/process.h"

TEST_CASE("a companion that was stopped, or that ignores its signal, is ended all the same") {
    constexpr unsigned patience_s = 30;  // ends the test
    (void)::alarm(patience_s);
    for (const int signal : {SIGSTOP, SIGTERM}) {
        // The line is there once the signal is ignored.
        auto child = base::start({.argv = {"sh", "-c", "trap '' TERM; echo; exec sleep 1000"}, .capture_output = true});
        REQUIRE(child);
        char byte = 0;
        REQUIRE(::read(child->output.get(), &byte, 1) == 1);
        const pid_t pid = child->pid;
        REQUIRE(::kill(pid, signal) == 0);
        {
            const hostside::CompanionProcess companion(std::move(*child), SIGTERM);
        }
        CHECK(::kill(pid, 0) < 0);
    }
    (void)::alarm(0);
}
