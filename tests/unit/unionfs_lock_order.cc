#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>

#include "unionfs/base/lock_order.h"

using unionfs::Rank;
using unionfs::RankedMutex;

namespace {

// The signal that ends a process that does this; 0 if it survives.
int signal_of(void (*deed)()) {
    const pid_t child = ::fork();
    if (child == 0) {
        const rlimit none{};
        (void)::setrlimit(RLIMIT_CORE, &none);
        (void)::signal(SIGABRT, SIG_DFL);  // instead of the test program's handler
        ::close(STDERR_FILENO);
        deed();
        ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace

TEST_CASE("locks taken in the order of their ranks are let through") {
    const auto in_order = [] {
        RankedMutex<Rank::node> child, parent;
        RankedMutex<Rank::table> table;
        RankedMutex<Rank::cache> cache;
        const std::scoped_lock all(child, parent);
        for (int i = 0; i < 2; ++i) {
            const std::lock_guard second(table);
            const std::lock_guard third(cache);
        }
    };
    CHECK(signal_of(in_order) == 0);
}

TEST_CASE("a lock taken with one in hand that comes after it ends the process") {
    CHECK(signal_of([] {
              RankedMutex<Rank::cache> cache;
              RankedMutex<Rank::table> table;
              const std::lock_guard first(cache);
              const std::lock_guard second(table);
          }) == SIGABRT);
    CHECK(signal_of([] {
              RankedMutex<Rank::table> table;
              RankedMutex<Rank::node> node;
              const std::lock_guard first(table);
              (void)node.try_lock();
          }) == SIGABRT);
}

TEST_CASE("a second lock of a rank that has one at a time ends the process, whoever would wait for it") {
    CHECK(signal_of([] {
              RankedMutex<Rank::table> one, other;
              const std::lock_guard first(one);
              const std::lock_guard second(other);
          }) == SIGABRT);
}
