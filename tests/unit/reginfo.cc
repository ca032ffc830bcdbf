// `runvm reginfo`: NAR and hash as in Nix, graphs, order, and error messages.
#include <sys/stat.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>

#include "hostside/nix/closure.h"
#include "hostside/nix/graph.h"
#include "mounts/base/at.h"
#include "mounts/base/process.h"
#include "mounts/nix/database.h"
#include "mounts/nix/nar.h"
#include "mounts/nix/sha256.h"
#include "tests/support/nix_root.h"

namespace {

namespace fs = std::filesystem;
using hostside::nixdb::Paths;
using nix_test::entry;
using nix_test::path_of;
using nix_test::Root;

std::string nar_of(const std::string &path) {
    std::string nar;
    REQUIRE(mounts::write_nar(path, [&](std::string_view bytes) { nar += bytes; }));
    return nar;
}

std::string graph_entry(size_t n, const std::vector<size_t> &references = {}) {
    std::string text = path_of(n) + "\n\n" + std::to_string(references.size()) + "\n";
    for (const size_t reference : references) text += path_of(reference) + "\n";
    return text;
}

std::string graph_error(const std::string &text) {
    Paths paths;
    const auto read = hostside::nixdb::read_graph(text, "graph", paths);
    if (!read) return message(read.error());
    const auto sorted = hostside::nixdb::topological_order(std::move(paths));
    return sorted ? "" : message(sorted.error());
}

// Both streams of `runvm reginfo`, which must exit with that status.
std::string reginfo(std::vector<std::string> words, int status = 0) {
    words.insert(words.begin(), {(fs::read_symlink("/proc/self/exe").parent_path().parent_path() / "runvm").string(), "reginfo"});
    const auto exit = base::run({.argv = words, .capture_output = true});
    REQUIRE(exit);
    INFO(exit->output);
    REQUIRE(exit->status == status);
    return exit->output;
}

}  // namespace

TEST_CASE("SHA-256 is what sha256sum says, at every length around a block's end") {
    const Root root;
    const std::string file = root.path + "/bytes";
    for (const size_t length : {0, 1, 3, 54, 55, 56, 57, 63, 64, 65, 118, 119, 120, 127, 128, 129, 100'000}) {
        std::string bytes(length, '\0');
        for (size_t i = 0; i < length; ++i) bytes[i] = static_cast<char>(i * 7 % 251);
        mounts::Sha256Stream stream;
        for (size_t begin = 0; begin < length; begin += 100) stream.add(std::string_view(bytes).substr(begin, 100));
        REQUIRE(base::replace_file(file, bytes));
        const auto sum = base::run({.argv = {"sha256sum", file}, .capture_output = true});
        REQUIRE(sum);
        INFO(length << " bytes");
        CHECK(sum->output.substr(0, 64) == mounts::base16(stream.finish()));
    }
}

TEST_CASE("a NAR is byte for byte what nix-store --dump writes, and its hash what nix-hash says") {
    const nix_test::Nix nix("bookworm");
    const Root root;
    const std::string tree = root.path + "/tree";
    fs::create_directories(tree + "/empty directory");
    fs::create_directories(tree + "/a/b/c");
    for (const size_t size : {0, 1, 7, 8, 9, 65535, 65536, 65537, 200'000})
        REQUIRE(base::replace_file(std::format("{}/a/{}", tree, size), std::string(size, 'x')));
    REQUIRE(base::replace_file(tree + "/a/program", "#!/bin/sh\n", 0755));
    REQUIRE(base::replace_file(tree + "/a/group may run it, its owner not", "", 0654));
    REQUIRE(base::replace_file(tree + "/a/secret", "", 0400));
    for (const std::string name : {"new\nline", "\xff\xfe", "Zebra", "apple", "a.b", "a-b", "~case~hack~1", " ", "'\"$(x)"})
        REQUIRE(base::replace_file(tree + "/" + name, name));
    REQUIRE(base::replace_file(tree + "/a/b/" + std::string(240, 'l'), "long"));
    fs::create_symlink("nowhere/at all", tree + "/dangling");
    fs::create_symlink(".", tree + "/a/loop");
    REQUIRE(::symlink(std::string(4000, 't').c_str(), (tree + "/a/long").c_str()) == 0);
    for (const std::string &path : {tree, tree + "/a/program", tree + "/empty directory", tree + "/a/0", tree + "/dangling"}) {
        INFO(path);
        const std::string nar = nar_of(path);
        CHECK(nar == nix("nix-store", root.path, {"--dump", path}));
        const auto hash = mounts::hash_nar(path);
        REQUIRE(hash);
        CHECK(hash->size_bytes == nar.size());
        if (path == tree)
            CHECK(mounts::base16(hash->hash) + "\n" ==
                  nix("nix", root.path,
                      {"--extra-experimental-features", "nix-command", "hash", "path", "--type", "sha256", "--base16", path}));
    }
    REQUIRE(::mkfifo((tree + "/fifo").c_str(), 0600) == 0);
    const auto refused = mounts::hash_nar(tree);
    REQUIRE_FALSE(refused);
    CHECK(message(refused.error()) ==
          std::format("read '{}/fifo': a store path holds files, directories and symlinks only", tree));
}

TEST_CASE("graphs are merged, and come out with references first") {
    Paths paths;
    REQUIRE(hostside::nixdb::read_graph(graph_entry(1, {3, 1, 2}) + graph_entry(2, {3}) + graph_entry(3), "one", paths));
    REQUIRE(hostside::nixdb::read_graph(graph_entry(4, {2}) + graph_entry(2, {3}) + graph_entry(3), "two", paths));
    const auto sorted = hostside::nixdb::topological_order(std::move(paths));
    REQUIRE(sorted);
    std::string order;
    for (const auto &info : *sorted) order += info.path + "\n";
    CHECK(order == path_of(3) + "\n" + path_of(2) + "\n" + path_of(1) + "\n" + path_of(4) + "\n");
}

TEST_CASE("a graph's faults are named") {
    CHECK(graph_error("").empty());
    CHECK(graph_error("x\n") == "read graph 'graph': line 1: 'x': expected a store path: it does not begin with /nix/store/");
    CHECK(graph_error(path_of(1) + "\ny\n") ==
          "read graph 'graph': line 2: 'y': expected the deriver's store path or an empty line: "
          "it does not begin with /nix/store/");
    CHECK(graph_error(path_of(1) + "\n\nfew\n") == "read graph 'graph': line 3: 'few': expected the number of references");
    CHECK(graph_error(path_of(1) + "\n\n1\n") == "read graph 'graph': line 4: the text ends here: expected a reference");
    CHECK(graph_error(path_of(1) + "\n\n0") ==
          "read graph 'graph': line 3: '0': expected a newline at the end of it: the text was cut");
    CHECK(graph_error(graph_entry(1, {2})) ==
          std::format("reginfo '{}': '{}' refers to it, but it is not in the graph", path_of(2), path_of(1)));
    CHECK(graph_error(graph_entry(1, {2}) + graph_entry(2, {1})) ==
          std::format("reginfo '{}': a cycle of references: '{}' refers back to it", path_of(1), path_of(2)));
}

TEST_CASE("runvm reginfo makes a registration of a graph, with hashes if asked, and stage 1 takes both") {
    const Root root;
    fs::create_directories(root.path + path_of(1));
    fs::create_directories(root.path + "/nix/store");
    REQUIRE(base::replace_file(root.path + path_of(2), "two"));
    const std::string graph = root.path + "/graph";
    REQUIRE(base::replace_file(graph, graph_entry(1, {2, 1}) + graph_entry(2)));
    CHECK(reginfo({"--graph", graph, "--format", "paths"}) == path_of(2) + "\n" + path_of(1) + "\n");
    const std::string unknown = reginfo({"--graph", graph});
    CHECK(unknown == entry(2, {}, "0", '0') + entry(1, {1, 2}, "0", '0'));
    REQUIRE(root.load(unknown));
    CHECK(root.query("select count(*) from ValidPaths where narSize is null") == "2");
    const std::string hashed = reginfo({"--graph", graph, "--hash", "--root", root.path, "--format", "registration"});
    const auto two = mounts::hash_nar(root.path + path_of(2));
    REQUIRE(two);
    CHECK(hashed.starts_with(path_of(2) + "\nsha256:" + mounts::nix32(two->hash) + "\n" + std::to_string(two->size_bytes) +
                             "\n\n0\n"));
    const auto report = root.load(hashed);
    REQUIRE(report);
    CHECK(report->updated == 2);
    CHECK(reginfo({"--graph", graph, "--hash"}, 1).ends_with("read '" + path_of(1) + "': No such file or directory\n"));
    CHECK(reginfo({}, 1).ends_with("reginfo: no store paths given; name some, or a graph with --graph\n"));
}

TEST_CASE("the host names a path that is not valid, a cycle, and a schema that it does not know") {
    const Root root;
    REQUIRE(root.load(entry(1, {2}) + entry(2)));
    const std::string database = root.database();
    CHECK(reginfo({"--database", database, path_of(7)}, 1)
              .ends_with(std::format("reginfo '{}': it is not a valid path in this database\n", path_of(7))));
    CHECK(reginfo({"--database", database, "/usr"}, 1)
              .ends_with("reginfo '/usr': leads to '/usr', which is not a store path: it does not begin with /nix/store/\n"));
    CHECK(reginfo({"--database", database, path_of(1)}) == entry(2) + entry(1, {2}));
    root.query("insert into Refs select b.id, a.id from ValidPaths a, ValidPaths b where a.path = '" + path_of(1) +
               "' and b.path = '" + path_of(2) + "'");
    CHECK(reginfo({"--database", database, path_of(1)}, 1)
              .ends_with(std::format("reginfo '{}': a cycle of references: '{}' refers back to it\n", path_of(1), path_of(2))));
    const std::string schema = root.path + "/nix/var/nix/db/schema";
    REQUIRE(base::replace_file(schema, "11"));
    CHECK(reginfo({"--database", database, path_of(1)}, 1)
              .ends_with(
                  std::format("reginfo '{}': it has schema 11, and runvm knows only 10; use `nix-store --dump-db`\n", schema)));
    CHECK(reginfo({"--database", root.path + "/none", path_of(1)}, 1)
              .ends_with(std::format("open database '{}/none': No such file or directory; is there a Nix store on this host? "
                                     "Name another database with --database\n",
                                     root.path)));
}

TEST_CASE("the host's database may be in use: what is committed is read, from its log too") {
    const Root root;
    REQUIRE(root.load(entry(2)));
    auto writer = mounts::Database::open(root.database(), mounts::Database::Mode::create);
    REQUIRE(writer);
    REQUIRE(writer->execute(
        "pragma journal_mode = wal; begin; insert into ValidPaths (path, hash, registrationTime, narSize) values ('" +
        path_of(1) + "', 'sha256:" + std::string(64, 'a') +
        "', 1, 120); commit; begin immediate; "
        "insert into Refs select a.id, b.id from ValidPaths a, ValidPaths b where a.id != b.id;"));
    REQUIRE(fs::file_size(root.database() + "-wal") > 0);
    CHECK(reginfo({"--database", root.database(), path_of(1)}) == entry(1));
    // On a read-only file system the log can't be opened; the database must not be read without it.
    const std::string runvm = (fs::read_symlink("/proc/self/exe").parent_path().parent_path() / "runvm").string();
    const std::string directory = root.path + "/nix/var/nix/db";
    fs::remove(root.database() + "-shm");
    const std::string read_only = R"sh(mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" &&
exec "$2" reginfo --database "$1/db.sqlite" "$3")sh";
    const auto exit =
        base::run({.argv = {"unshare", "-m", "sh", "-c", read_only, "sh", directory, runvm, path_of(1)}, .capture_output = true});
    REQUIRE(exit);
    INFO(exit->output);
    CHECK(exit->status == 1);
    CHECK(exit->output.find("open database '" + root.database() + "': its write-ahead log cannot be read from here: ") !=
          std::string::npos);
}

TEST_CASE("a database in which a view takes a table's place, which could have rows without end, is refused") {
    const Root root;
    REQUIRE(root.load(entry(1)));
    auto writer = mounts::Database::open(root.database(), mounts::Database::Mode::create);
    REQUIRE(writer);
    REQUIRE(
        writer->execute("drop table Refs; create view Refs as with recursive endless(n) as (select 1 union "
                        "all select n + 1 from endless) select n as referrer, n as reference from endless"));
    REQUIRE(writer->close());
    CHECK(reginfo({"--database", root.database(), path_of(1)}, 1)
              .ends_with("open database '" + root.database() + "': it has a view, so it is not a database of Nix\n"));
}

TEST_CASE("a host's database that somebody holds for himself is waited for ten seconds, and then said to be held") {
    const Root root;
    REQUIRE(root.load(entry(1)));
    auto holder = mounts::Database::open(root.database(), mounts::Database::Mode::create);
    REQUIRE(holder);
    REQUIRE(holder->execute("pragma journal_mode = delete; begin exclusive"));
    CHECK(reginfo({"--database", root.database(), path_of(1)}, 1)
              .ends_with("database '" + root.database() + "': database is locked; another program holds it\n"));
}
