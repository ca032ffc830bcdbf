#include <catch_amalgamated.hpp>

#include "unionfs/tree/readdirplus_policy.h"

using unionfs::Walks;

namespace {

constexpr pid_t caller = 1000;

// Folders of 10 files that a caller reads until one of them is listed bare.
Walks::Trial read_until_bare(Walks &walks, unsigned &folders, pid_t who = caller) {
    for (folders = 1; folders < 10'000; ++folders)
        if (const Walks::Trial trial = walks.begin(who, 10, false); trial != 0) return trial;
    return 0;
}

}  // namespace

TEST_CASE("a caller that looks nothing up gets bare files after a few folders, and from then on") {
    Walks walks;
    unsigned folders = 0;
    const Walks::Trial trial = read_until_bare(walks, folders);
    CHECK(folders == Walks::first_distance + 1);
    REQUIRE(trial != 0);
    for (int i = 0; i < 100; ++i) {
        CHECK(walks.begin(caller, 10, i % 2 == 0) == trial);
        CHECK(walks.goes_on(trial));
    }
}

TEST_CASE("a caller whose file is looked up gets attributes, and is tried again ever more rarely") {
    Walks walks;
    unsigned distance = Walks::first_distance;
    for (int i = 0; i < 4; ++i) {
        unsigned folders = 0;
        const Walks::Trial trial = read_until_bare(walks, folders);
        CHECK(folders == distance + 1);
        walks.looked_up(trial);
        CHECK_FALSE(walks.goes_on(trial));
        distance *= Walks::growth;
    }
}

TEST_CASE("a walk that turns to the files gets attributes at once, and what it left bare before counts no more") {
    Walks walks;
    unsigned folders = 0;
    const Walks::Trial old = read_until_bare(walks, folders);
    for (int i = 0; i < 50; ++i) (void)walks.begin(caller, 10, false);
    walks.looked_up(old);
    CHECK(walks.begin(caller, 10, false) == 0);
    const Walks::Trial trial = read_until_bare(walks, folders);
    CHECK(trial != old);
    walks.looked_up(old);
    CHECK(walks.goes_on(trial));
}

TEST_CASE("a trial is made of a small folder without subfolders") {
    Walks walks;
    for (unsigned i = 0; i < Walks::first_distance; ++i) CHECK(walks.begin(caller, 10, false) == 0);
    CHECK(walks.begin(caller, Walks::first_files + 1, false) == 0);
    CHECK(walks.begin(caller, 100'000, false) == 0);
    CHECK(walks.begin(caller, 10, true) == 0);
    CHECK(walks.begin(caller, 0, false) == 0);
    CHECK(walks.begin(caller, Walks::first_files, false) != 0);
}

TEST_CASE("no more files are listed bare at once than were ignored before") {
    Walks walks;
    unsigned folders = 0;
    const Walks::Trial trial = read_until_bare(walks, folders);
    CHECK(walks.begin(caller, 100'000, false) == 0);
    for (size_t ignored = 10; ignored < 1000; ignored += 10) CHECK(walks.begin(caller, 10, false) == trial);
    CHECK(walks.begin(caller, 1000, false) == trial);
    CHECK(walks.begin(caller, 2001, false) == 0);
    CHECK(walks.goes_on(trial));
}

TEST_CASE("callers are told apart, and those whose number is not known always get attributes") {
    Walks walks;
    unsigned folders = 0;
    const Walks::Trial trial = read_until_bare(walks, folders);
    CHECK(walks.begin(caller + 1, 10, false) == 0);
    CHECK(walks.begin(caller, 10, false) == trial);
    CHECK(read_until_bare(walks, folders, 0) == 0);
}

TEST_CASE("where listings and files have different numbers nobody gets bare files") {
    Walks walks;
    unsigned folders = 0;
    walks.stop();
    CHECK(read_until_bare(walks, folders) == 0);
}

TEST_CASE("of more callers than are kept the later ones take the places") {
    Walks walks;
    for (pid_t who = 1; who < 10'000; ++who) CHECK(walks.begin(who, 10, false) == 0);
    unsigned folders = 0;
    CHECK(read_until_bare(walks, folders) != 0);
}
