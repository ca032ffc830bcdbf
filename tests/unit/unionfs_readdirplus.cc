#include <catch_amalgamated.hpp>

#include "unionfs/tree/readdirplus_policy.h"

using unionfs::ReaddirplusPolicy;

namespace {

constexpr pid_t caller = 1000;

// Directories of 10 files that a caller reads until one gets a plain listing.
ReaddirplusPolicy::Token read_until_plain(ReaddirplusPolicy &policy, unsigned &directories, pid_t who = caller) {
    for (directories = 1; directories < 10'000; ++directories)
        if (const ReaddirplusPolicy::Token token = policy.begin(who, 10, false); token != 0) return token;
    return 0;
}

}  // namespace

TEST_CASE("a caller that looks nothing up gets plain names after a few directories, and from then on") {
    ReaddirplusPolicy policy;
    unsigned directories = 0;
    const ReaddirplusPolicy::Token token = read_until_plain(policy, directories);
    CHECK(directories == ReaddirplusPolicy::first_distance + 1);
    REQUIRE(token != 0);
    for (int i = 0; i < 100; ++i) {
        CHECK(policy.begin(caller, 10, i % 2 == 0) == token);
        CHECK(policy.goes_on(token));
    }
}

TEST_CASE("a caller whose file is looked up gets attributes, and is tried again ever more rarely") {
    ReaddirplusPolicy policy;
    unsigned distance = ReaddirplusPolicy::first_distance;
    for (int i = 0; i < 4; ++i) {
        unsigned directories = 0;
        const ReaddirplusPolicy::Token token = read_until_plain(policy, directories);
        CHECK(directories == distance + 1);
        policy.looked_up(token);
        CHECK_FALSE(policy.goes_on(token));
        distance *= ReaddirplusPolicy::growth;
    }
}

TEST_CASE("a walk that turns to the files gets attributes at once, and what it left plain before counts no more") {
    ReaddirplusPolicy policy;
    unsigned directories = 0;
    const ReaddirplusPolicy::Token old = read_until_plain(policy, directories);
    for (int i = 0; i < 50; ++i) (void)policy.begin(caller, 10, false);
    policy.looked_up(old);
    CHECK(policy.begin(caller, 10, false) == 0);
    const ReaddirplusPolicy::Token token = read_until_plain(policy, directories);
    CHECK(token != old);
    policy.looked_up(old);
    CHECK(policy.goes_on(token));
}

TEST_CASE("a trial is made of a small directory without subdirectories") {
    ReaddirplusPolicy policy;
    for (unsigned i = 0; i < ReaddirplusPolicy::first_distance; ++i) CHECK(policy.begin(caller, 10, false) == 0);
    CHECK(policy.begin(caller, ReaddirplusPolicy::first_files + 1, false) == 0);
    CHECK(policy.begin(caller, 100'000, false) == 0);
    CHECK(policy.begin(caller, 10, true) == 0);
    CHECK(policy.begin(caller, 0, false) == 0);
    CHECK(policy.begin(caller, ReaddirplusPolicy::first_files, false) != 0);
}

TEST_CASE("no more files are listed plainly at once than were ignored before") {
    ReaddirplusPolicy policy;
    unsigned directories = 0;
    const ReaddirplusPolicy::Token token = read_until_plain(policy, directories);
    CHECK(policy.begin(caller, 100'000, false) == 0);
    for (size_t ignored = 10; ignored < 1000; ignored += 10) CHECK(policy.begin(caller, 10, false) == token);
    CHECK(policy.begin(caller, 1000, false) == token);
    CHECK(policy.begin(caller, 2001, false) == 0);
    CHECK(policy.goes_on(token));
}

TEST_CASE("callers are told apart, and those whose number is not known always get attributes") {
    ReaddirplusPolicy policy;
    unsigned directories = 0;
    const ReaddirplusPolicy::Token token = read_until_plain(policy, directories);
    CHECK(policy.begin(caller + 1, 10, false) == 0);
    CHECK(policy.begin(caller, 10, false) == token);
    CHECK(read_until_plain(policy, directories, 0) == 0);
}

TEST_CASE("where listings and files have different numbers nobody gets plain names") {
    ReaddirplusPolicy policy;
    unsigned directories = 0;
    policy.stop();
    CHECK(read_until_plain(policy, directories) == 0);
}

TEST_CASE("of more callers than are kept the later ones take the places") {
    ReaddirplusPolicy policy;
    for (pid_t who = 1; who < 10'000; ++who) CHECK(policy.begin(who, 10, false) == 0);
    unsigned directories = 0;
    CHECK(read_until_plain(policy, directories) != 0);
}
