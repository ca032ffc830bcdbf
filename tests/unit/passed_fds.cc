// How the launcher passes descriptors and finds programs.
#include "hostside/base/passed_fds.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <catch_amalgamated.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "hostside/base/last_line.h"
#include "hostside/base/program_path.h"

namespace fs = std::filesystem;
using base::Fd;

namespace {

std::array<Fd, 2> socket_pair() {
    std::array<int, 2> ends{-1, -1};
    REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) == 0);
    return {Fd(ends[0]), Fd(ends[1])};
}

size_t open_descriptors() {
    size_t count = 0;
    for (const auto &entry : fs::directory_iterator("/proc/self/fd")) count += entry.exists() ? 1 : 0;
    return count;
}

}  // namespace

TEST_CASE("descriptors come as they were sent, and none beyond what is taken stays open") {
    auto [here, there] = socket_pair();
    const Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    REQUIRE(hostside::send_fds(here.get(), {{null.get(), here.get()}}, "both"));
    const auto both = hostside::receive_fds(there.get(), 64, 2);
    REQUIRE(both);
    CHECK(both->bytes == "both");
    REQUIRE(both->fds.size() == 2);
    struct stat sent{}, came{};
    REQUIRE(::fstat(null.get(), &sent) == 0);
    REQUIRE(::fstat(both->fds[0].get(), &came) == 0);
    CHECK(sent.st_rdev == came.st_rdev);
    CHECK((::fcntl(both->fds[0].get(), F_GETFD) & FD_CLOEXEC) != 0);

    const size_t before = open_descriptors();
    const std::array<int, 4> four{null.get(), null.get(), null.get(), null.get()};
    REQUIRE(hostside::send_fds(here.get(), four, "longer than is taken"));
    {
        const auto some = hostside::receive_fds(there.get(), 6, 1);
        REQUIRE(some);
        CHECK(some->bytes == "longer");
        CHECK(open_descriptors() == before + some->fds.size());
    }
    CHECK(open_descriptors() == before);
}

TEST_CASE("a message without descriptors, and an end that closed, are told apart from one with") {
    auto [here, there] = socket_pair();
    REQUIRE(::send(here.get(), "word", 4, 0) == 4);
    const auto none = hostside::receive_fds(there.get(), 64, 1);
    REQUIRE(none);
    CHECK(none->bytes == "word");
    CHECK(none->fds.empty());
    here.reset();
    const auto closed = hostside::receive_fds(there.get(), 64, 1);
    REQUIRE(closed);
    CHECK(closed->bytes.empty());
}

TEST_CASE("a program is an executable file of an absolute directory, in PATH's order") {
    std::string pattern = (fs::temp_directory_path() / "programs-XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    const fs::path top(pattern);
    for (const char *directory : {"a", "b", "c"}) fs::create_directory(top / directory);
    std::ofstream(top / "a/tool") << "no program";
    fs::create_directory(top / "b/tool");
    std::ofstream(top / "c/tool") << "#!/bin/sh\n";
    fs::permissions(top / "c/tool", fs::perms::owner_all);
    const std::string old = std::getenv("PATH");
    ::setenv("PATH", (std::string(".:") + (top / "a").string() + ":" + (top / "b").string()).c_str(), 1);
    const auto found = hostside::programs_named("tool", {top / "c", "c"});
    ::setenv("PATH", old.c_str(), 1);
    CHECK(found == std::vector<std::string>{top / "c/tool"});
    fs::remove_all(top);
}

TEST_CASE("the last line of a program is the last that says something") {
    CHECK(hostside::last_line("first\nwhy\n\n") == "why");
    CHECK(hostside::last_line("\n\n").empty());
}
