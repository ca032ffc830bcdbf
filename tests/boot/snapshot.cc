// A machine that is booted once and restored often: each restored one is a separate machine, and the snapshot does not change.

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch_amalgamated.hpp>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <format>
#include <fstream>
#include <sstream>

#include "mounts/base/at.h"
#include "tests/boot/machine.h"
#include "tests/boot/own_cache.h"
#include "tests/boot/place.h"

namespace {

namespace fs = std::filesystem;
using namespace boot_test;
using Catch::Matchers::ContainsSubstring;

std::string saved_in(const Place &place) { return place.directory() + "/saved"; }

std::vector<std::string> snapshot_words(const Place &place, const std::vector<std::string> &more) {
    std::vector<std::string> words{"snapshot",
                                   "--accel",
                                   "tcg",
                                   "--store",
                                   fixture() + "/root/nix/store",
                                   "--toplevel",
                                   fixture_toplevel(),
                                   "--memory",
                                   "512",
                                   "--timeout",
                                   "240",
                                   "-o",
                                   saved_in(place)};
    words.insert(words.end(), more.begin(), more.end());
    return words;
}

// Ready as soon as a command through its agent succeeds, because it has no stage 2.
const std::vector<std::string> agent_alone{
    "--append", "stage1.agent=only",
    "--module", "virtio_net",
    "--after",  "mkdir -p /etc && echo 00000000000000000000000000000001 >/etc/machine-id && date -s @1000000000"};

std::string hashes(const Place &place) {
    return must_run(
        {"/usr/bin/sha256sum", saved_in(place) + "/memory", saved_in(place) + "/state", saved_in(place) + "/root.qcow2"});
}

std::string in(const Place &place, const std::string &machine, const std::string &line) {
    const auto ran = place.runvm({"exec", "--patience", "60", machine, "--", "sh", "-c", line});
    INFO(ran.output);
    CHECK(ran.status == 0);
    return ran.output;
}

void refused(const Place &place, const std::vector<std::string> &more, const std::string &words) {
    std::vector<std::string> all{"exec", "--from", saved_in(place)};
    all.insert(all.end(), more.begin(), more.end());
    all.insert(all.end(), {"--", "true"});
    const auto ran = place.runvm(all);
    CHECK(ran.status == 124);
    CHECK_THAT(ran.output, ContainsSubstring(words));
}

// A QEMU that reports another version.
std::string other_qemu(const Place &place) {
    const std::string path = place.directory() + "/qemu";
    std::ofstream(path) << "#!/bin/sh\n[ \"$1\" = --version ] && { echo 'QEMU emulator version 7.2.99 (other)'; exit; }\n"
                           "exec qemu-system-x86_64 \"$@\"\n";
    fs::permissions(path, fs::perms::owner_all);
    return path;
}

// A valid path of the host's store that is not in the machine's closure.
std::string other_system() { return first_line(fixture() + "/systemd/toplevel"); }

TEST_CASE("a machine that was saved when it was ready goes on many times at once, each a machine of its own") {
    const OwnCache cache;
    const Place place;
    const auto made = place.runvm(snapshot_words(place, agent_alone));
    INFO(made.output);
    REQUIRE(made.status == 0);
    CHECK((fs::status(saved_in(place)).permissions() & fs::perms::mask) == fs::perms::owner_all);
    for (const auto &file : fs::directory_iterator(saved_in(place)))
        CHECK((fs::status(file).permissions() & fs::perms::mask) == (fs::perms::owner_read | fs::perms::owner_write));
    const std::string before = hashes(place);
    for (const char *name : {"one", "two"}) {
        // Without Place's flags, because the snapshot has everything.
        std::vector<std::string> words = place.words({"exec"});
        words.back() = "start";
        words.insert(words.end(), {"--from", saved_in(place), "--name", name});
        const auto started = base::run({.argv = words, .capture_output = true});
        REQUIRE(started);
        INFO(started->output);
        REQUIRE(started->status == 0);
    }
    // Changes on disk and in memory are private to each fork.
    CHECK(in(place, "one", "echo of one >/on-disk; echo of one >/nix/store/in-memory; sync; cat /on-disk") == "of one\n");
    CHECK(in(place, "two", "ls -d /on-disk /nix/store/in-memory 2>/dev/null; echo none") == "none\n");
    for (const char *line :
         {"head -c 16 /dev/urandom | od -An -tx1", "cat /etc/machine-id", "cat /proc/sys/kernel/random/boot_id",
          "cat /sys/class/net/eth0/address", "cat /proc/sys/kernel/hostname"}) {
        INFO(line);
        const std::string one = in(place, "one", line), two = in(place, "two", line);
        CHECK(one.size() > 3);
        CHECK(one != two);
        CHECK_FALSE(one.contains("00000000000000000001"));
        CHECK_FALSE(one.contains("52:54:00:12:34:56"));
    }
    CHECK(in(place, "one", "cat /proc/sys/kernel/hostname") == "one\n");
    // The bytes above might differ by chance; this message proves that the kernel reseeded its generator.
    CHECK_THAT(in(place, "one", "dmesg"), ContainsSubstring("reseeded due to virtual machine fork"));
    // The clock is the host's; the saved machine's was set to 2001.
    constexpr int generous_s = 120;
    const auto stopped = static_cast<time_t>(std::stoll(in(place, "two", "date +%s")));
    CHECK(std::abs(::time(nullptr) - stopped) < generous_s);
    // What each fork has for itself.
    CHECK(in(place, "one", "cat /tmp/shared/cmd >/dev/null && echo x >/tmp/xchg/mine && ls /tmp/xchg") == "mine\n");
    CHECK(in(place, "two", "ls /tmp/xchg").empty());

    const auto replaced = place.runvm(snapshot_words(place, {"--fresh"}));
    CHECK(replaced.status == 124);
    CHECK_THAT(replaced.output, ContainsSubstring("a machine made from it is running"));
    const pid_t holder = place.holder("one");
    REQUIRE(::kill(holder, SIGKILL) == 0);
    CHECK(within(60, [&] { return !alive(holder); }));
    const auto ran = place.runvm({"exec", "--from", saved_in(place), "--", "sh", "-c", "echo here; exit 42"});
    INFO(ran.output);
    CHECK(ran.status == 42);
    CHECK(ran.output == "here\n");
    CHECK(hashes(place) == before);

    refused(place, {"--memory", "640"}, "memory must be the same: the snapshot has '512 MiB', but this machine has '640 MiB'");
    refused(place, {"--qemu", other_qemu(place)}, "QEMU must be the same: the snapshot has '1");
    refused(place, {"--kernel", fixture() + "/vmlinux"}, "the kernel must be the same");
    refused(place, {"--cpu", "qemu64"}, "the processor's model must be the same");
    refused(place, {"--paths-in-nix-db", other_system()}, "what is registered (pathsInNixDB) must be the same");
    CHECK(in(place, "two", "echo still here") == "still here\n");
}

TEST_CASE("a machine that was saved before stage 2 has its 9p store, and each fork's stage 2 runs its own command") {
    const OwnCache cache;
    const Place place;
    const auto made = place.runvm(snapshot_words(place, {"--snapshot", "before-stage-2"}));
    INFO(made.output);
    REQUIRE(made.status == 0);
    const std::string before = hashes(place);
    std::vector<pid_t> forks;
    for (const int status : {5, 6}) {
        const std::string shared = std::format("{}/shared-{}", place.directory(), status);
        fs::create_directory(shared);
        std::ofstream(shared + "/cmd") << "head -c 16 /dev/urandom | od -An -tx1 >/tmp/shared/random; echo " << status
                                       << " >/mine; [ -e /nix/store/" << fs::path(fixture_toplevel()).filename().string()
                                       << "/init ] && exit " << status << "\n";
        std::vector<std::string> argv{"/bin/sh", "-c", "exec \"$@\" >\"$0\" 2>&1", shared + "/output"};
        std::vector<std::string> words = place.words({"exec"});
        words.back() = "run";
        argv.insert(argv.end(), words.begin(), words.end());
        argv.insert(argv.end(), {"--from", saved_in(place), "--shared-dir", shared, "--name", std::format("fork-{}", status)});
        auto child = base::start({.argv = argv, .dies_with_parent = true});
        REQUIRE(child);
        forks.push_back(child->pid);
    }
    std::vector<std::string> random;
    for (size_t i = 0; i < forks.size(); ++i) {
        const int status = 5 + static_cast<int>(i), code = wait_for_end(forks[i]);
        const std::string shared = std::format("{}/shared-{}", place.directory(), status);
        INFO(base::read_file(shared + "/output").value_or(""));
        CHECK(code == status);
        random.push_back(base::read_file(shared + "/random").value_or(""));
    }
    CHECK(random[0].size() > 20);
    CHECK(random[0] != random[1]);
    CHECK(hashes(place) == before);
}

TEST_CASE("a fork of a machine that was saved before stage 2 sees store paths that came since, and its Nix knows them") {
    const OwnCache cache;
    const Place place("exit 3");
    const auto made = place.runvm(snapshot_words(place, {"--snapshot", "before-stage-2"}));
    INFO(made.output);
    REQUIRE(made.status == 0);
    // Each fork has the same xchg, and the first one leaves a directory where runvm puts a file.
    const std::string own = place.directory() + "/own";
    std::filesystem::create_directories(own + "/xchg");
    const auto fork = [&](const std::string &script, const std::vector<std::string> &more) {
        std::ofstream(place.shared() + "/cmd") << "path=" << other_system() << "\n" << script;
        std::vector<std::string> words = place.words({"exec"});
        words.back() = "run";
        words.insert(words.end(), {"--from", saved_in(place)});
        words.insert(words.end(), more.begin(), more.end());
        words.insert(std::ranges::find(words, "TMPDIR") + 1, {"USE_TMPDIR=1", "TMPDIR=" + own});
        const auto ran = base::run({.argv = words, .capture_output = true});
        REQUIRE(ran);
        return *ran;
    };
    const auto since = fork(R"(set -e
test -e $path/init
nix-store -q --hash $path >/tmp/shared/hash
nix-store -qR $path >/tmp/shared/closure
nix-store --verify-path $(cat /tmp/shared/closure)
nix-store --verify
test ! -e /tmp/xchg/new-paths
mkdir -p /tmp/xchg/new-paths/left
exit 5)",
                            {"--paths-in-nix-db", other_system()});
    INFO(since.output);
    CHECK(since.status == 5);
    CHECK(std::filesystem::is_directory(own + "/xchg/new-paths"));
    const auto on_host = [&](const std::string &query) {
        return must_run({"/usr/bin/env", "nix-store", "--store", fixture() + "/root", "-q", query, other_system()});
    };
    CHECK(on_host("--hash").ends_with(base::read_file(place.shared() + "/hash").value_or("no hash")));
    std::istringstream closure(base::read_file(place.shared() + "/closure").value_or("no closure"));
    const std::string host_closure = on_host("--requisites");
    for (std::string path; std::getline(closure, path);) CHECK_THAT(host_closure, ContainsSubstring(path + "\n"));
    // One that did not ask for it has neither, and the snapshot is as it was.
    const auto without = fork("! test -e $path && ! nix-store --check-validity $path && exit 6", {});
    INFO(without.output);
    CHECK(without.status == 6);
    const auto absent = fork("exit 7", {"--paths-in-nix-db", "/nix/store/00000000000000000000000000000000-absent"});
    CHECK(absent.status == 124);
    CHECK_THAT(absent.output, ContainsSubstring("00000000000000000000000000000000-absent"));
}

TEST_CASE(
    "a machine with systemd is saved when its target is reached, and a fork's systemd goes on in the fork's time and name") {
    const OwnCache cache;
    const Place place;
    const std::string toplevel = base::read_file(fixture() + "/systemd/toplevel").value_or("");
    // The fixture's own service would power the machine off.
    const auto made = place.runvm({"snapshot", "--accel", "tcg", "--store", fixture() + "/root/nix/store", "--toplevel",
                                   toplevel.substr(0, toplevel.find('\n')), "--memory", "512", "--timeout", "500", "--append",
                                   "systemd.mask=fixture.service", "-o", saved_in(place), "--after", "multi-user.target"});
    INFO(made.output);
    REQUIRE(made.status == 0);
    std::vector<std::string> start = place.words({"exec"});  // without the system that words() gives to a start
    start.back() = "start";
    start.insert(start.end(), {"--from", saved_in(place), "--name", "fork"});
    must_run(start);
    const auto said = [&](std::vector<std::string> command) {
        command.insert(command.begin(), {"exec", "--patience", "60", "fork", "--"});
        return place.runvm(command).output;
    };
    CHECK(said({"systemctl", "is-system-running"}) == "running\n");
    CHECK(said({"systemctl", "list-units", "--failed", "--plain", "--no-legend"}).empty());
    CHECK(said({"bash", "-c", "echo $(</proc/sys/kernel/hostname)"}) == "fork\n");
    constexpr int generous_s = 300;
    CHECK(std::abs(::time(nullptr) - static_cast<time_t>(std::stoll(said({"bash", "-c", "printf '%(%s)T' -1"})))) < generous_s);
    for (const char *unit : {"systemd-journald", "systemd-udevd"}) {
        CHECK(said({"systemctl", "is-active", unit}) == "active\n");
        CHECK(said({"systemctl", "show", "--value", "-p", "NRestarts", unit}) == "0\n");  // no watchdog bit
    }
    // The manager still starts units, and the journal still takes what they say, under the fork's name.
    CHECK(said({"systemctl", "restart", "systemd-journald"}).empty());
    CHECK_THAT(said({"journalctl", "-n", "20", "--no-pager"}), ContainsSubstring(" fork systemd[1]: "));
    CHECK(place.runvm({"stop", "--now", "fork"}).status == 0);
}

TEST_CASE("a snapshot that comes to nothing leaves nothing: killed, of a machine that ends, or that can't be saved") {
    const OwnCache cache;
    const Place place;
    const auto left = [&] {
        return std::ranges::any_of(fs::directory_iterator(place.directory()),
                                   [](const auto &entry) { return entry.path().filename().string().starts_with("saved"); });
    };
    // Its stage 2 has no command and powers off, and never reports that it is ready.
    const auto ended = place.runvm(snapshot_words(place, {}));
    INFO(ended.output);
    CHECK(ended.status != 0);
    CHECK_FALSE(left());
    const auto blocked = place.runvm(snapshot_words(place, {"--store-kind", "9p"}));
    CHECK(blocked.status == 124);
    CHECK_THAT(blocked.output, ContainsSubstring("QEMU cannot save a machine with a mounted 9p directory") &&
                                   ContainsSubstring("--snapshot before-stage-2"));
    CHECK_FALSE(left());
    for (const int signal : {SIGKILL, SIGTERM}) {
        const pid_t half = place.launch(snapshot_words(
            place, {"--append", "stage1.agent=only", "--after", "touch /run/there; sleep 1000", "--name", "half"}));
        CHECK(within(120, [&] { return place.runvm({"exec", "half", "--", "ls", "/run/there"}).status == 0; }));
        CHECK(left());
        REQUIRE(::kill(half, signal) == 0);
        CHECK(wait_for_end(half) != 0);
        CHECK(within(60, [&] { return !left(); }));
    }
}

}  // namespace
