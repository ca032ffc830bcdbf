// A file with very many names.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>
#include <fstream>

#include "tests/parity/mounted.h"
#include "tests/parity/place.h"
#include "tests/parity/tree.h"

using parity::Mounted;

namespace {

namespace fs = std::filesystem;

constexpr int names = 600;

void write_text(const fs::path &path, std::string_view text) { std::ofstream(path, std::ios::app) << text; }

void link_names(const char *of) {
    for (int i = 0; i < names; ++i) fs::create_hard_link(of, std::format("{}/{}-{}", i % 2 == 0 ? "a" : "b", of, i));
}

void move_and_remove(const char *of) {
    for (int i = 0; i < names; ++i) {
        const std::string name = std::format("{}/{}-{}", i % 2 == 0 ? "a" : "b", of, i);
        if (i % 5 == 0) fs::rename(name, std::format("{}/moved-{}-{}", i % 3 == 0 ? "a" : "b", of, i));
        if (i % 5 == 1) fs::remove(name);
    }
    write_text(std::format("b/{}-3", of), " and more");
}

void remove_most(const char *of) {
    for (const char *directory : {"a", "b"})
        for (const auto &entry : fs::directory_iterator(directory))
            if (entry.path().string().contains(of) && !entry.path().string().ends_with("-7")) fs::remove(entry.path());
    fs::remove(of);
}

}  // namespace

TEST_CASE("hundreds of names of one file come, move and go, with a new worker between") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const std::string mode = GENERATE("store", "throughput");
    CAPTURE(mode);
    Mounted stack(mode);
    const fs::path plain = stack.mount_beside_plain([](const fs::path &root) {
        for (const char *directory : {"a", "b"}) fs::create_directory(root / directory);
        write_text(root / "lower", "lower");
        const parity::WorkingDirectory here(root);
        for (int i = 0; i < 50; ++i) fs::create_hard_link("lower", std::format("a/before-{}", i));
    });
    const auto at_both = [&](void (*deed)(const char *), const char *of) {
        for (const fs::path &place : {stack.root(), plain}) {
            const parity::WorkingDirectory here(place);
            deed(of);
        }
        CHECK(parity::tree(stack.root()) == parity::tree(plain));
    };
    for (const fs::path &place : {stack.root(), plain}) write_text(place / "made", "made");
    for (const char *of : {"made", "lower"}) at_both(link_names, of);
    at_both(move_and_remove, "made");
    REQUIRE(::kill(stack.worker(), SIGKILL) == 0);
    at_both(move_and_remove, "lower");
    at_both(remove_most, "made");
    at_both(remove_most, "lower");
    REQUIRE(stack.unmount() == 0);
    stack.mount();
    CHECK(parity::tree(stack.root()) == parity::tree(plain));
    CHECK(stack.unmount() == 0);
}
