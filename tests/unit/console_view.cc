// The terminal's content when both the guest's console and the launcher write to it.
#include "hostside/run/console_view.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <catch_amalgamated.hpp>
#include <functional>
#include <string>

#include "mounts/base/at.h"
#include "mounts/base/fd.h"

namespace {

// The output of a view without a terminal, in a separate process.
std::string said(const std::function<void(hostside::ConsoleView &)> &run) {
    std::array<int, 2> ends{-1, -1};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    const base::Fd out(ends[0]);
    base::Fd in(ends[1]);
    const pid_t child = ::fork();
    if (child == 0) {
        for (const int standard : {STDOUT_FILENO, STDERR_FILENO}) (void)::dup2(in.get(), standard);
        {
            hostside::ConsoleView view(true);
            run(view);
        }
        ::_exit(0);
    }
    in.reset();
    const auto text = base::read_all(out.get(), "what the view said", 65536);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE(text);
    return text->substr(text->find('\n') + 1);  // the phases come first
}

}  // namespace

TEST_CASE("a note of the launcher's waits for the end of the guest's line") {
    CHECK(said([](hostside::ConsoleView &view) {
              view.show("one\r\nhalf of ");
              view.note("stage 1 failed");
              view.note("and so on");
              view.show("a li");
              view.show("ne\r\nmore\r\n");
              view.note("between lines");
          }) == "one\r\nhalf of a line\r\nrunvm: stage 1 failed\r\nrunvm: and so on\r\nmore\r\nrunvm: between lines\r\n");
}

TEST_CASE("a note of the launcher's doesn't wait for ever at a prompt, nor get lost") {
    CHECK(said([](hostside::ConsoleView &view) {
              view.show("login: ");
              view.note("no room");
              if (!view.wants_ticks()) view.show("nothing waits");
              ::usleep(400'000);
              view.tick();
              view.show("root");
          }) == "login: \r\nrunvm: no room\r\nroot");
    CHECK(said([](hostside::ConsoleView &view) {
              view.show("# ");
              view.note("ended");
          }) == "# \r\nrunvm: ended\r\n");
}
