// More lowers than a process's initial limit of descriptors.
#include <signal.h>

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>
#include <fstream>

#include "tests/parity/mounted.h"
#include "tests/parity/place.h"
#include "tests/support/caches.h"

TEST_CASE("a union of 1,100 lowers shows the last one's file, also by a new worker") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    namespace fs = std::filesystem;
    constexpr int count = 1100;
    parity::Mounted stack("store");
    std::string lowers;
    for (int i = 0; i < count; ++i) {
        const fs::path lower = stack.base() / std::format("l{}", i);
        fs::create_directory(lower);
        std::ofstream(lower / std::format("file-{}", i)) << i;
        lowers += (i == 0 ? "" : ":") + lower.string();
    }
    stack.mount("lowerdir=" + lowers);
    const auto content = [&](int i) {
        std::string text;
        std::ifstream(stack.root() / std::format("file-{}", i)) >> text;
        return text;
    };
    CHECK(content(count - 1) == std::to_string(count - 1));
    const pid_t worker = stack.worker();
    REQUIRE(worker > 0);
    REQUIRE(::kill(worker, SIGKILL) == 0);
    support::drop_caches();
    for (const int i : {0, 1022, 1023, 1024, count - 1}) CHECK(content(i) == std::to_string(i));
    CHECK(stack.unmount() == 0);
}
