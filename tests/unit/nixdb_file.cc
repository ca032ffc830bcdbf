// The database file that is written without SQLite: SQLite must find it intact at every size, and like Nix's own.
#include <sys/stat.h>

#include <algorithm>
#include <catch_amalgamated.hpp>
#include <random>

#include "mounts/base/at.h"
#include "mounts/nix/nix_hash.h"
#include "tests/support/nix_root.h"

namespace {

using nix_test::path_of;
using nix_test::Root;

// `count` paths in no order, with names of any length up to `name_bytes`; each refers to some with a lower number.
std::string random_closure(size_t count, size_t name_bytes, unsigned seed) {
    std::mt19937 choose(seed);
    std::vector<std::string> paths;
    for (size_t n = 0; n < count; ++n) paths.push_back(path_of(n + 1, std::string(1 + choose() % name_bytes, 'n')));
    std::vector<std::string> entries;
    for (size_t n = 0; n < count; ++n) {
        std::vector<std::string> references;
        for (size_t i = choose() % 12; i-- > 0 && n != 0;) references.push_back(paths[choose() % n]);
        if (choose() % 2 == 0) references.push_back(paths[n]);
        std::string text = paths[n] + "\n" + std::string(64, "0123456789abcdef"[choose() % 15 + 1]) + "\n" +
                           std::to_string(uint64_t{1} << choose() % 50) + "\n" + (choose() % 2 == 0 ? paths[n / 2] : "") + "\n" +
                           std::to_string(references.size()) + "\n";
        for (const auto &reference : references) text += reference + "\n";
        entries.push_back(std::move(text));
    }
    std::ranges::shuffle(entries, choose);
    std::string text;
    for (const auto &entry : entries) text += entry;
    return text;
}

// Removes comments, letter case and blanks, which a CREATE statement keeps.
std::string bare(const std::string &sql) {
    std::string result;
    for (const auto &line : nix_test::lines(sql))
        for (const char c : line.substr(0, line.find("--")))
            if (c != ' ') result += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    return result;
}

}  // namespace

TEST_CASE("SQLite finds a written database whole, whatever the number of its paths") {
    // With long names an index page holds 14, so new levels begin at about 15, 210 and 3,000 paths.
    std::vector<size_t> sizes;
    for (size_t n = 0; n <= 40; ++n) sizes.push_back(n);
    for (size_t n = 190; n <= 240; ++n) sizes.push_back(n);
    for (size_t n = 2400; n <= 3600; n += 150) sizes.push_back(n);
    for (const size_t count : sizes) {
        const Root root;
        const auto report = root.load(random_closure(count, 211, static_cast<unsigned>(count)));
        REQUIRE(report);
        INFO(count << " paths");
        REQUIRE(report->added == count);
        REQUIRE(root.query("pragma integrity_check") == "ok");
        REQUIRE(root.query("pragma foreign_key_check").empty());
        REQUIRE(root.query("select count(*) from ValidPaths") == std::to_string(count));
        REQUIRE(root.query("select count(*) from sqlite_sequence where seq = " + std::to_string(count)) ==
                (count == 0 ? "0" : "1"));
    }
}

TEST_CASE("a written database holds, row by row, what SQLite writes for the same registration") {
    const std::string text = random_closure(3000, 40, 1);
    const Root fresh, existing;
    REQUIRE(fresh.load(text));
    REQUIRE(existing.load(""));  // a database without rows, which SQLite then fills
    const auto report = existing.load(text);
    REQUIRE(report);
    CHECK_FALSE(report->fresh);
    CHECK(report->added == 3000);
    for (const std::string sql :
         {"select id || path || hash || coalesce(deriver, '-') || coalesce(narSize, '-') from ValidPaths order by path",
          "select referrer || ' ' || reference from Refs order by referrer, reference",
          "select group_concat(reference) from Refs group by referrer order by referrer",
          "select group_concat(referrer) from (select * from Refs order by referrer) group by reference order by reference",
          "select seq from sqlite_sequence"}) {
        INFO(sql);
        CHECK(fresh.query(sql) == existing.query(sql));
    }
}

TEST_CASE("a path that stands twice in a registration is what it was the last time") {
    const Root root;
    REQUIRE(
        root.load(nix_test::entry(1, {2}, "5") + nix_test::entry(2) + nix_test::entry(3) + nix_test::entry(1, {3}, "7", 'b')));
    CHECK(root.query("select narSize from ValidPaths order by path") == "7 120 120");
    CHECK(root.query("select v.path from Refs join ValidPaths v on v.id = reference") == path_of(3));
}

TEST_CASE("the database's files, settings and tables are those that each real Nix makes") {
    const std::string suite = GENERATE("bookworm", "trixie", "sid");
    const nix_test::Nix nix(suite);
    const Root theirs, ours;
    CHECK(nix.status("nix-store", theirs.path, {"--load-db"}) == 0);
    REQUIRE(ours.load(""));
    const auto directory = [](const Root &root) { return root.path + "/nix/var/nix/db/"; };
    for (const std::string name : {"db.sqlite", "schema", "big-lock", "reserved"}) {
        struct stat a{}, b{};
        INFO(name);
        REQUIRE(::stat((directory(theirs) + name).c_str(), &a) == 0);
        REQUIRE(::stat((directory(ours) + name).c_str(), &b) == 0);
        CHECK(a.st_mode == b.st_mode);
        if (name != "db.sqlite") CHECK(a.st_size == b.st_size);
    }
    CHECK(base::read_file(directory(theirs) + "schema").value() == base::read_file(directory(ours) + "schema").value());
    for (const std::string name : {"page_size", "encoding", "journal_mode", "auto_vacuum", "user_version", "application_id",
                                   "legacy_file_format", "foreign_key_list(Refs)", "table_info(ValidPaths)"}) {
        INFO(name);
        CHECK(theirs.query("pragma " + name) == ours.query("pragma " + name));
    }
    // 2.8 makes SchemaMigrations only with content-addressed derivations enabled; later versions always make it, empty.
    const std::string names = "select name from sqlite_master where tbl_name != 'SchemaMigrations' order by rowid";
    CHECK(theirs.query(names) == ours.query(names));
    for (const auto &name :
         nix_test::lines("ValidPaths\nRefs\nDerivationOutputs\nSchemaMigrations\nsqlite_sequence\nIndexReferrer\n"
                         "IndexReference\nIndexDerivationOutputs\nDeleteSelfRefs\n")) {
        INFO(name);
        const std::string text = theirs.query("select sql from sqlite_master where name = '" + name + "'");
        if (suite == "bookworm" && name == "SchemaMigrations" && text.empty()) continue;
        CHECK(bare(text) == bare(ours.query("select sql from sqlite_master where name = '" + name + "'")));
    }
}
