// The native registration: the content of the database afterwards, also after a failure or a power cut.
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>

#include "hostside/nix/closure.h"
#include "mounts/base/at.h"
#include "mounts/base/process.h"
#include "mounts/nix/database.h"
#include "stage1/nixdb/register_closure.h"
#include "tests/support/nix_root.h"

namespace {

namespace fs = std::filesystem;
using nix_test::entry;
using nix_test::path_of;
using nix_test::Root;

}  // namespace

TEST_CASE("a fresh database has the schema, the files and the rows of a Nix of its own") {
    const Root root;
    const auto report = root.load(entry(1, {1, 2}) + entry(2, {}, "0"));
    REQUIRE(report);
    CHECK(report->fresh);
    CHECK(report->added == 2);
    CHECK(root.query("select path || coalesce(narSize, '?') from ValidPaths order by path") ==
          path_of(1) + "120 " + path_of(2) + "?");
    CHECK(root.query("select count(*) from Refs") == "2");
    CHECK(root.query("pragma journal_mode") == "wal");
    CHECK(root.query("pragma integrity_check") == "ok");
    CHECK(base::read_file(root.path + "/nix/var/nix/db/schema").value() == "10");
    CHECK(fs::file_size(root.path + "/nix/var/nix/db/reserved") == 8 << 20);
    CHECK(fs::exists(root.path + "/nix/var/nix/db/big-lock"));
    CHECK_FALSE(fs::exists(root.path + "/nix/var/nix/db/db.sqlite.new"));
}

TEST_CASE("a second load changes nothing") {
    const Root root;
    REQUIRE(root.load(entry(1, {2}) + entry(2)));
    const auto again = root.load(entry(1, {2}) + entry(2));
    REQUIRE(again);
    CHECK_FALSE(again->fresh);
    CHECK(again->added == 0);
    CHECK(again->updated == 0);
}

TEST_CASE("signatures, content address, ultimate and deriver of a row that is there are kept, and known sizes too") {
    const Root root;
    REQUIRE(root.load(entry(1)));
    root.query("update ValidPaths set sigs = 's', ca = 'c', ultimate = 1, deriver = 'd'");
    REQUIRE(root.load(entry(1, {}, "0", '0')));  // the 2013 printRegistration: zeros
    CHECK(root.query("select sigs || ca || ultimate || deriver || narSize || substr(hash, 8, 2) from ValidPaths") == "sc1d120aa");
    REQUIRE(root.load(entry(1, {}, "7", 'b')));
    CHECK(root.query("select sigs || ca || ultimate || deriver || narSize || substr(hash, 8, 2) from ValidPaths") == "sc1d7bb");
}

TEST_CASE("a reference that nobody registers is named with its line, and nothing is loaded") {
    const Root root;
    const std::string expected = std::format(
        "register '/reg': line 6: reference '{}' of '{}' is neither registered here nor in the database", path_of(9), path_of(1));
    CHECK(root.error(entry(1, {9})) == expected);
    CHECK_FALSE(fs::exists(root.path + "/nix/var/nix/db/db.sqlite"));
    REQUIRE(root.load(entry(2)));
    CHECK(root.error(entry(3) + entry(1, {9})) ==
          std::format("register '/reg': line 11: reference '{}' of '{}' is neither registered here nor in the database",
                      path_of(9), path_of(1)));
    CHECK(root.query("select path from ValidPaths") == path_of(2));
    CHECK(root.load(entry(1, {2})));  // already in the database
}

TEST_CASE("a bad line leaves the database as it was") {
    const Root root;
    REQUIRE(root.load(entry(1)));
    CHECK(root.error(entry(2) + "x\n").starts_with("read registration '/reg': line 6: 'x': expected a store path"));
    CHECK(root.query("select path from ValidPaths") == path_of(1));
}

TEST_CASE("a cycle of references is refused") {
    const Root root;
    CHECK(root.error(entry(1, {1, 2}) + entry(2, {3}) + entry(3, {1})) ==
          std::format("register '{}': it is in a cycle of references, or below one; no store has that", path_of(1)));
    CHECK_FALSE(fs::exists(root.path + "/nix/var/nix/db/db.sqlite"));
}

TEST_CASE("a derivation's outputs are read from it, and one that is not there is an error") {
    const Root root;
    const std::string drv = path_of(1) + ".drv";
    const std::string text = drv + "\n" + std::string(64, 'a') + "\n1\n\n0\n";
    CHECK(root.error(text) ==
          std::format("read derivation '{}': No such file or directory; it is registered, and the database needs its outputs",
                      drv));
    fs::create_directories(root.path + "/nix/store");
    REQUIRE(base::replace_file(root.path + drv, "hello"));
    CHECK(root.error(text) == std::format("read derivation '{}': it does not begin as a derivation does", drv));
    REQUIRE(base::replace_file(root.path + drv, std::format("Derive([(\"dev\",\"{}\",\"\",\"\"),(\"out\",\"{}\",\"\",\"\")],[]",
                                                            path_of(2), path_of(3))));
    REQUIRE(root.load(text));
    CHECK(root.query("select id || path from DerivationOutputs order by id") == "dev" + path_of(2) + " out" + path_of(3));
}

TEST_CASE("paths that are gone are dropped with what refers to them, and strict refuses") {
    const Root root;
    for (const size_t n : {1, 2, 3, 4, 5}) root.put(n);
    REQUIRE(root.load(entry(1, {4}) + entry(2, {3}) + entry(3, {3, 4}) + entry(4) + entry(5)));
    fs::remove_all(root.path + path_of(4));
    CHECK(
        root.error(entry(1, {5}) + entry(5), mounts::RegisterMode::strict) ==
        std::format(
            "register '{}': 1 paths of the database are gone from the store, this is the first; stage1.register=auto drops them",
            path_of(4)));
    CHECK(root.query("select count(*) from ValidPaths") == "5");
    const auto report = root.load(entry(1, {5}) + entry(5));
    REQUIRE(report);
    CHECK(report->dropped.size() == 3);  // 4, and 3 and 2, which need it; 1 was just confirmed
    CHECK(root.query("select path from ValidPaths order by path") == path_of(1) + " " + path_of(5));
    CHECK(root.query("select count(*) from Refs").starts_with("1"));
    CHECK(root.query("pragma foreign_key_check").empty());
}

TEST_CASE("nothing is dropped when the store isn't mounted") {
    const Root root;
    REQUIRE(root.load(entry(1) + entry(2)));
    const auto report = root.load(entry(1));
    REQUIRE(report);
    CHECK(report->dropped.empty());
    CHECK(report->note == "the closure is not in this root's store, so paths that are gone were not searched for");
}

TEST_CASE("a database of another schema is left to nix-store, and its absence is said") {
    const Root root;
    REQUIRE(root.load(entry(1)));
    REQUIRE(base::replace_file(root.path + "/nix/var/nix/db/schema", "11"));
    CHECK(root.error(entry(1)).ends_with("the closure has no sw/bin/nix-store to load the registration with"));
    REQUIRE(base::replace_file(root.path + "/nix/var/nix/db/schema", "eleven"));
    CHECK(root.error(entry(1)).ends_with("'eleven' is not a schema version"));
}

TEST_CASE("while a Nix works in the root, nothing is loaded, and who is in the way is said") {
    const Root root;
    REQUIRE(root.load(entry(1)));
    const std::string lock = root.path + "/nix/var/nix/db/big-lock";
    const auto held = base::open_at(AT_FDCWD, lock, O_RDWR);
    REQUIRE(held);
    REQUIRE(::flock(held->get(), LOCK_EX) == 0);
    CHECK(root.error(entry(2)) == std::format("lock '{}': {}; Nix is running in this root; register before it starts", lock,
                                              base::errno_text(EWOULDBLOCK)));
    REQUIRE(::flock(held->get(), LOCK_UN) == 0);
    CHECK(root.error(entry(2)).empty());
}

TEST_CASE("a registration that was the last one is not loaded again, unless the database or the text has changed") {
    const Root root;
    const std::string text = entry(1, {2}) + entry(2);
    REQUIRE(root.load(text));
    const auto again = root.load(text);
    REQUIRE(again);
    CHECK(again->unchanged);
    CHECK(describe(*again) == "register: /reg: already loaded, and the database is unchanged");

    const auto reloaded = [&](const std::string &what) {
        INFO(what);
        const auto report = root.load(text);
        REQUIRE(report);
        CHECK_FALSE(report->unchanged);
        CHECK(root.query("select count(*) from ValidPaths where path = '" + path_of(1) + "'") == "1");
        CHECK(root.load(text)->unchanged);
    };
    root.query("delete from Refs");
    root.query("delete from ValidPaths where path = '" + path_of(1) + "'");
    reloaded("a row that went");
    root.query("update ValidPaths set hash = 'sha256:" + std::string(64, 'e') + "'");
    reloaded("a hash, the size of the file the same");
    fs::copy_file(root.database(), root.database() + ".copy");
    fs::rename(root.database() + ".copy", root.database());
    reloaded("another file with the same content");
    REQUIRE(base::replace_file(root.database() + "-wal", "x"));
    reloaded("a log beside it");
    fs::resize_file(root.path + "/nix/var/nix/db/stage1-loaded", 20);
    reloaded("a note that a cut left half written");

    const auto other = root.load(text + entry(3));
    REQUIRE(other);
    CHECK(other->added == 1);
    // One path fewer: the third is no longer in the closure, so its existence is checked every time.
    CHECK_FALSE(root.load(text)->unchanged);
    CHECK_FALSE(root.load(text)->unchanged);
}

TEST_CASE("killed at any moment, the next run loads it whole") {
    const Root root;
    std::string text;
    for (size_t n = 1; n <= 1500; ++n) text += n > 3 ? entry(n, {n - 1, n - 2, n / 2}) : entry(n);
    size_t killed = 0;
    for (int round = 0; round < 30; ++round) {
        if (round % 3 == 0) fs::remove_all(root.path + "/nix");
        const bool existing = round % 3 == 1;
        if (existing) REQUIRE(root.load(entry(9000)));
        REQUIRE(base::replace_file(root.path + "/reg", text));
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) ::_exit(stage1::nixdb::register_closure({.target_root = root.path, .reginfo = "/reg"}) ? 0 : 1);
        ::usleep(static_cast<useconds_t>(round) * 4000);
        (void)::kill(child, SIGKILL);
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        if (WIFSIGNALED(status)) ++killed;
        if (fs::exists(root.path + "/nix/var/nix/db/db.sqlite")) {
            const auto rows = root.query("select count(*) from ValidPaths where narSize = 120");
            INFO("round " << round << ": " << rows);
            CHECK((rows == "1" || rows == "1500" || rows == "1501"));
        }
        const auto report = root.load(text);
        REQUIRE(report);
        CHECK(root.query("select count(*) from ValidPaths") >= "1500");
        CHECK(root.query("pragma integrity_check") == "ok");
        CHECK(root.query("pragma foreign_key_check").empty());
    }
    CHECK(killed > 0);
}
