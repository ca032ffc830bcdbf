// A machine as a builder for Nix: the calls of Nix's ssh, the state of a builder, and what its guest is told.
#include <sys/file.h>
#include <sys/mount.h>

#include <catch_amalgamated.hpp>
#include <filesystem>

#include "hostside/builder/builder.h"
#include "hostside/builder/ssh_call.h"
#include "hostside/nix/valid_paths.h"
#include "mounts/base/at.h"
#include "mounts/nix/database.h"
#include "stage1/nixdb/register_live.h"
#include "tests/support/nix_root.h"

namespace {

namespace fs = std::filesystem;
using nix_test::entry;
using nix_test::path_of;
using nix_test::Root;

}  // namespace

TEST_CASE("the calls of ssh that Nix of all versions makes are understood") {
    struct Case {
        std::vector<std::string> words;
        std::string host, line;
        bool started, control, master;
    };
    const std::string permit = "-oPermitLocalCommand=yes", started = "-oLocalCommand=echo started";
    const std::vector<Case> cases{
        // 2.8
        {{"web", "-x", "-a", "nix-daemon --stdio"}, "web", "nix-daemon --stdio", false, false, false},
        {{"web", "-x", "-a", "-S", "/tmp/s", "-v", "nix-store --serve --write"},
         "web",
         "nix-store --serve --write",
         false,
         false,
         false},
        // 2.26, 2.34
        {{"root@web", "-x", "-i", "key", "-C", "-p22", permit, started, "--", "nix-daemon", "--stdio"},
         "web",
         "nix-daemon --stdio",
         true,
         false,
         false},
        {{"-O", "check", "web", permit, started}, "web", "", true, true, false},
        {{"web", "-M", "-N", "-S", "/tmp/s", "-v", permit, started}, "web", "", true, false, true},
        // With a master connection ssh runs no local command, and Nix reads none.
        {{"web", "-x", permit, started, "-S", "/tmp/s", "--", "nix-daemon", "--stdio"},
         "web",
         "nix-daemon --stdio",
         false,
         false,
         false},
        // As a person types it; the first value of a setting counts.
        {{"-o", "LocalCommand=true", started, "web"}, "web", "", false, false, false},
        {{"-4tl", "me", "web", "ls", "-x", "--", "a"}, "web", "ls -x -- a", false, false, false},
        {{"--", "web", "ls"}, "web", "ls", false, false, false},
        {{"-V"}, "", "", false, false, false},
        {{"-S"}, "", "", false, false, false},
    };
    for (const auto &c : cases) {
        const auto call = hostside::ssh_call(c.words);
        INFO(c.words.front() << " … " << c.words.back());
        CHECK(call.host == c.host);
        CHECK(command_line_of(call) == c.line);
        CHECK(call.says_started == c.started);
        CHECK(call.control == c.control);
        CHECK(call.master == c.master);
    }
}

TEST_CASE("what is said of a builder comes back as it was, and one that is not there is told apart") {
    const Root root;
    const hostside::BuilderPlace place(root.path + "/builders", "web");
    CHECK(place.read().error().code == ENOENT);
    hostside::Builder builder{.name = "web",
                              .system = "x86_64-linux",
                              .features = "kvm,benchmark",
                              .store = "/a b/store",
                              .working_directory = "/work \"x\"",
                              .after = "test -e /x",
                              .jobs = 7,
                              .idle_s = 1,
                              .heartbeat_s = 2,
                              .boot_limit_s = 3};
    REQUIRE(place.write(builder, "{}", "/bin/run'vm"));
    const auto read = place.read();
    REQUIRE(read);
    CHECK(read->store == builder.store);
    CHECK(read->working_directory == builder.working_directory);
    CHECK(read->after == builder.after);
    CHECK(std::vector{read->jobs, read->idle_s, read->heartbeat_s, read->boot_limit_s} == std::vector{7, 1, 2, 3});
    CHECK(machines_line(*read, "ssh") == "ssh://web x86_64-linux - 7 1 kvm,benchmark - -");
    CHECK(base::read_file(place.ssh())
              .value_or("")
              .ends_with("exec '/bin/run'\\''vm' builder-ssh " + root.path + "/builders -- \"$@\"\n"));
    builder.after = "two\nlines";
    CHECK_FALSE(place.write(builder, "{}", "runvm"));
    for (const char *bad : {"", "-x", ".x", "a/b", "a b", "a@b", "localhost", "bin", "é"})
        CHECK_FALSE(hostside::builder_name_fault(bad).empty());
    CHECK(hostside::BuilderPlace(root.path, "../builders/web").read().error().code == ENOENT);
}

TEST_CASE("a lock that others share is not had alone") {
    const Root root;
    const hostside::BuilderPlace place(root.path, "web");
    fs::create_directory(root.path + "/web");
    {
        const auto first = place.lock("use", LOCK_SH), second = place.lock("use", LOCK_SH | LOCK_NB);
        REQUIRE((first && *first && second && *second));
        const auto alone = place.lock("use", LOCK_EX | LOCK_NB);
        REQUIRE(alone);
        CHECK_FALSE(*alone);
    }
    CHECK(place.lock("use", LOCK_EX | LOCK_NB).value().has_value());
}

namespace {

hostside::nixdb::Snapshot snapshot_of(const Root &root, const hostside::nixdb::ValidPaths &known = {}) {
    auto now = hostside::nixdb::snapshot(root.database(), known);
    INFO((now ? "" : message(now.error())));
    REQUIRE(now);
    return *now;
}

base::Result<stage1::nixdb::LiveReport> tell(const Root &guest, const std::string &text, const std::string &forget = "") {
    REQUIRE(base::replace_file(guest.path + "/live", text));
    REQUIRE(base::replace_file(guest.path + "/forget", forget));
    return stage1::nixdb::register_live({.target_root = guest.path, .reginfo = "/live", .forget = guest.path + "/forget"});
}

}  // namespace

TEST_CASE("what came into a host's store is registered in a guest at work, what it does not see is not, what went is dropped") {
    const Root host, guest;
    // Number 7 sorts after the path that refers to it. A derivation is not the input of a build.
    REQUIRE(host.load(entry(1) + entry(2, {1})));
    const auto before = snapshot_of(host);
    CHECK(before.paths.size() == 2);
    REQUIRE(guest.load(entry(1) + entry(2, {1})));
    for (const size_t n : {1, 2, 3, 7}) guest.put(n);
    const std::string drv = path_of(9, "x.drv");
    fs::create_directories(host.path + "/nix/store");
    REQUIRE(base::replace_file(host.path + drv, R"(Derive([],[],[],"x86_64-linux","/bin/sh",[],[]))"));
    std::string derivation = entry(9);
    derivation.replace(derivation.find(path_of(9)), path_of(9).size(), drv);
    std::string of_derivation = entry(8, {9});
    of_derivation.replace(of_derivation.find(path_of(9)), path_of(9).size(), drv);
    REQUIRE(host.load(entry(1) + entry(2, {1}) + entry(7, {1}) + entry(3, {7, 3}) + entry(5) + entry(6, {5}) + derivation +
                      of_derivation));

    const auto after = snapshot_of(host, before.paths);
    CHECK(after.registration.find(path_of(7)) < after.registration.find(path_of(3)));
    CHECK_FALSE(after.registration.contains(".drv"));
    CHECK_FALSE(after.registration.starts_with(path_of(1)));
    // While Nix uses the guest's database.
    auto at_work = mounts::Database::open(guest.database(), mounts::Database::Mode::create);
    REQUIRE(at_work);
    auto reading = at_work->prepare("select path from ValidPaths");
    REQUIRE(reading);
    REQUIRE(reading->step());
    const auto told = tell(guest, after.registration);
    INFO((told ? describe(*told) : message(told.error())));
    REQUIRE(told);
    CHECK(told->added == 2);
    CHECK(told->unseen == 2);  // the guest's store does not have 5, so 6, which refers to it, is left out too
    CHECK(guest.query("select path from ValidPaths order by path") ==
          path_of(1) + " " + path_of(2) + " " + path_of(3) + " " + path_of(7));
    CHECK(guest.query("select count(*) from Refs") ==
          host.query("select count(*) from Refs r join ValidPaths v on v.id = r.referrer where path in ('" + path_of(2) + "', '" +
                     path_of(3) + "', '" + path_of(7) + "')"));

    fs::remove_all(guest.path + path_of(7));
    const auto gone = tell(guest, "", path_of(7) + "\n" + path_of(2) + "\n" + path_of(4) + "\n");
    REQUIRE(gone);
    CHECK(gone->dropped.size() == 2);  // 7, and 3, which refers to it; 2 still exists, 4 never did
    CHECK(guest.query("select path from ValidPaths order by path") == path_of(1) + " " + path_of(2));
}

TEST_CASE("what a guest has of its own under the name of a host's path is not taken for it") {
    const Root host, guest;
    REQUIRE(host.load(entry(1) + entry(2)));
    REQUIRE(guest.load(entry(3)));
    const auto now = snapshot_of(host);
    // As beneath a union: the file system tells the two apart, so one of them is a tmpfs.
    const std::string lower = guest.path + "/nix/.ro-store", upper = guest.path + "/nix/.rw-store";
    fs::create_directories(lower);
    fs::create_directories(upper);
    if (::geteuid() != 0) SKIP("needs a file system of its own");
    REQUIRE(::mount("upper", upper.c_str(), "tmpfs", 0, "size=1m") == 0);
    fs::create_directories(upper + "/upper");
    for (const size_t n : {1, 2}) {
        guest.put(n);
        fs::create_directories(lower + "/" + fs::path(path_of(n)).filename().string());
    }
    fs::create_directories(upper + "/upper/" + fs::path(path_of(2)).filename().string());
    const auto told = tell(guest, now.registration);
    REQUIRE(::umount(upper.c_str()) == 0);
    REQUIRE(told);
    CHECK(told->unseen == 1);
    CHECK(guest.query("select path from ValidPaths order by path") == path_of(1) + " " + path_of(3));
}
