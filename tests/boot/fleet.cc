// `runvm fleet` with real machines: results, processes killed under it, and what a person sees. tests/unit/fleet_run.cc tests
// its scheduling.

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <catch_amalgamated.hpp>
#include <csignal>
#include <filesystem>
#include <format>
#include <fstream>
#include <random>
#include <set>
#include <sstream>

#include "hostside/fleet/results.h"
#include "mounts/base/at.h"
#include "mounts/base/json_text.h"
#include "tests/boot/machine.h"
#include "tests/boot/own_cache.h"
#include "tests/boot/place.h"
#include "tests/support/terminal.h"

namespace {

namespace fs = std::filesystem;
using namespace boot_test;
using Catch::Matchers::ContainsSubstring;
using hostside::Outcome;

// The guest's stage 2 obeys its kernel command line: `exits=7` ends it, otherwise it stays up.
constexpr const char *stage2 = R"(for word in $(cat /proc/cmdline); do
    case $word in exits=*) exit ${word#exits=} ;; esac
done
sleep 1000)";

struct Fleet {
    Place place{stage2};

    [[nodiscard]] std::string path(const std::string &name) const { return place.directory() + "/" + name; }
    [[nodiscard]] static std::string defaults() {
        return std::format(R"({{"accelerator":"tcg","store":{},"toplevel":{},"memorySize":384,"diskImage":""}})",
                           base::json_text(fixture() + "/root/nix/store"), base::json_text(fixture_toplevel()));
    }
    void write(const std::string &nodes) const {
        std::ofstream(path("fleet.json")) << std::format(R"({{"defaults":{},"nodes":{{{}}}}})", defaults(), nodes);
    }
    [[nodiscard]] std::vector<std::string> words(const std::vector<std::string> &more = {}, int processors = 2) const {
        std::vector<std::string> all{"fleet", path("fleet.json"), "-o", path("out"), std::format("--processors={}", processors)};
        all.insert(all.end(), more.begin(), more.end());
        return all;
    }
    [[nodiscard]] hostside::FleetResult results() const {
        const auto text = base::read_file(path("out/results.json"));
        REQUIRE(text);
        return hostside::results_from(*text, "results.json").value();
    }
    [[nodiscard]] std::string of(const std::string &machine, const std::string &file) const {
        return base::read_file(path("out/" + machine + "/" + file)).value_or("");
    }
    // Processes of running machines: those whose command line names the machine's directory in the fleet's.
    [[nodiscard]] std::vector<pid_t> processes(const std::string &program, const std::string &machine) const {
        std::vector<pid_t> found;
        for (const auto &entry : fs::directory_iterator("/proc")) {
            const std::string name = entry.path().filename();
            if (name.find_first_not_of("0123456789") != std::string::npos) continue;
            std::string line = base::read_file(entry.path().string() + "/cmdline").value_or("");
            const std::string first = line.substr(0, line.find('\0'));
            if (fs::path(first).filename() == program && line.contains(place.directory()) && line.contains("/" + machine) &&
                alive(std::stoi(name)))
                found.push_back(std::stoi(name));
        }
        return found;
    }
    [[nodiscard]] bool nothing_left() const {
        return within(30, [&] {
            return processes("qemu-system-x86_64", "").empty() && processes("runvm", "out/").empty() &&
                   fs::is_empty(place.runtime());
        });
    }
};

const hostside::MachineResult &machine(const hostside::FleetResult &result, const std::string &name) {
    const auto found = std::ranges::find(result.machines, name, &hostside::MachineResult::name);
    REQUIRE(found != result.machines.end());
    return *found;
}

// The terminal's control keys send signals to this process.
[[noreturn]] void be_at(const support::Terminal &terminal, std::vector<std::string> words) {
    (void)::setsid();
    (void)::ioctl(terminal.program_side(), TIOCSCTTY, 0);
    for (const int fd : {0, 1, 2}) (void)::dup2(terminal.program_side(), fd);
    std::vector<char *> argv;
    for (auto &word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    (void)::execvp(argv[0], argv.data());
    ::_exit(127);
}

TEST_CASE("the fleet that fleet init writes runs: commands, copies, and a service on a vlan") {
    const Fleet fleet;
    // A NixOS's stage 2 would load the network cards' driver; the fixture's does not.
    std::ofstream(fleet.path("machine.json")) << Fleet::defaults().insert(1, R"("extraModules":["virtio_net"],)");
    const auto written =
        fleet.place.runvm({"fleet", "init", "--config", fleet.path("machine.json"), "-o", fleet.path("fleet.json")});
    INFO(written.output);
    REQUIRE(written.status == 0);
    CHECK(fleet.place.runvm({"fleet", "init", "--config", fleet.path("machine.json"), "-o", fleet.path("fleet.json")}).output ==
          std::format("runvm: create '{}': File exists; name another file with -o\n", fleet.path("fleet.json")));
    const auto ran = fleet.place.runvm(fleet.words());
    INFO(ran.output);
    CHECK(ran.status == 0);
    CHECK_THAT(ran.output,
               ContainsSubstring("hello: runs\n") && ContainsSubstring("5 passed in ") && !ContainsSubstring(" failed: "));
    const auto result = fleet.results();
    CHECK(result.count(Outcome::passed) == 5);
    CHECK_THAT(fleet.of("hello", "output"), ContainsSubstring("Linux") && ContainsSubstring("x86_64"));
    CHECK_THAT(fleet.of("client", "output"), ContainsSubstring("eth1"));
    // On a busy host its command is over before stage 2 says anything.
    CHECK_THAT(fleet.of("checks-2", "console.log"), ContainsSubstring("reboot: Power down"));
    CHECK_THAT(fleet.of("checks-2", "report.json"), ContainsSubstring("\"phase\""));
    CHECK_FALSE(fs::exists(fleet.path("out/checks-2/disk.qcow2")));
    CHECK(fleet.nothing_left());
}

TEST_CASE("a machine of a fleet that fails by itself, loses its launcher or its QEMU has its own end, and the rest goes on") {
    const Fleet fleet;
    fleet.write(
        R"("seven":{"description":{"kernelParams":["exits=7"]}},"no-launcher":{},"no-qemu":{},"no-share":{"description":{"kernelParams":["stage1.share=nowhere:/mnt/x"]}},"command":{"script":"echo said\nexit 9"})");
    const pid_t pid = fleet.place.launch(fleet.words({}, 4));
    const auto at_stage2 = [&](const std::string &name) {
        return machine(fleet.results(), name).outcome == Outcome::running &&
               !fleet.processes("qemu-system-x86_64", name + "/").empty();
    };
    REQUIRE(within(
        60, [&] { return fs::exists(fleet.path("out/results.json")) && at_stage2("no-launcher") && at_stage2("no-qemu"); }));
    for (const pid_t launcher : fleet.processes("runvm", "no-launcher/description.json")) ::kill(launcher, SIGKILL);
    for (const pid_t qemu : fleet.processes("qemu-system-x86_64", "no-qemu/")) ::kill(qemu, SIGKILL);
    CHECK(wait_for_end(pid) == 1);
    INFO(fleet.place.output());
    CHECK_THAT(fleet.place.output(), ContainsSubstring(std::format(
                                         "runvm: seven failed: {0}/seven/output, {0}/seven/console.log\n", fleet.path("out"))));
    const auto result = fleet.results();
    CHECK(machine(result, "seven").exit_code == 7);
    CHECK(machine(result, "seven").cause == "the guest failed with status 7");
    CHECK(machine(result, "no-launcher").exit_code == 128 + SIGKILL);
    CHECK(machine(result, "no-launcher").cause == "its launcher was killed");
    CHECK(machine(result, "no-qemu").exit_code == 123);
    CHECK_THAT(machine(result, "no-qemu").cause, ContainsSubstring("signal 9"));
    CHECK(machine(result, "no-share").exit_code == 120);
    const std::string log = fleet.path("out/no-share/console.log"), report = fleet.path("out/no-share/report.json");
    CHECK_THAT(fleet.of("no-share", "output"),
               ContainsSubstring("look: " + log + ", runvm report " + report) && !ContainsSubstring("runvm logs"));
    CHECK_THAT(fleet.of("no-share", "console.log"), ContainsSubstring("tag 'nowhere' not offered by the host"));
    CHECK_THAT(fleet.place.runvm({"report", report}).output, ContainsSubstring("failed after "));
    CHECK(machine(result, "command").exit_code == 9);
    CHECK_THAT(fleet.of("command", "output"), ContainsSubstring("said\n"));
    CHECK(result.count(Outcome::failed) == 5);
    const auto checked =
        base::run({.argv = {"xmllint", "--noout", "--relaxng", "tests/support/junit.rng", fleet.path("out/junit.xml")},
                   .capture_output = true});
    REQUIRE(checked);
    INFO(checked->output);
    CHECK(checked->status == 0);
    CHECK(fleet.nothing_left());
}

TEST_CASE("a person at a fleet sees a table of it; ctrl-c ends its machines, and --resume runs what has no result yet") {
    const Fleet fleet;
    fleet.write(
        R"("stays":{"description":{"kernelParams":["exits=0"]}},"hangs":{"script":"trap '' INT TERM; cat /tmp/shared/go || sleep 1000"},
        "waits":{"description":{"kernelParams":["exits=3"]}})");
    std::vector<std::string> words = fleet.place.words(fleet.words());
    support::Terminal terminal;
    const pid_t pid = ::fork();
    if (pid == 0) be_at(terminal, std::move(words));
    const auto ended = [&] { return !alive(pid); };
    CHECK(terminal.wait_for("2 running, 1 waiting", 60, ended));
    REQUIRE(within(120, [&] { return terminal.listen(50), machine(fleet.results(), "stays").outcome == Outcome::passed; }));
    terminal.type("\x03");
    REQUIRE(within(60, [&] { return terminal.listen(50), ended(); }));
    CHECK(wait_for_end(pid) == 128 + SIGINT);
    CHECK_THAT(terminal.said(), ContainsSubstring("stage 2"));
    CHECK(fleet.nothing_left());
    const auto result = fleet.results();
    CHECK(machine(result, "stays").outcome == Outcome::passed);
    CHECK(machine(result, "hangs").outcome == Outcome::cancelled);
    std::ofstream(fleet.place.shared() + "/go") << "gone\n";
    const auto resumed = fleet.place.runvm(fleet.words({"--resume"}));
    INFO(resumed.output);
    CHECK(resumed.status == 1);
    CHECK_THAT(resumed.output, ContainsSubstring("hangs: passed") && ContainsSubstring("waits: failed, exit 3") &&
                                   !ContainsSubstring("stays: runs") && ContainsSubstring("2 passed, 1 failed"));
    CHECK(fleet.nothing_left());
}

TEST_CASE("a fleet that is killed takes its machines along, commands and all") {
    const Fleet fleet;
    fleet.write(R"("stays":{},"command":{"script":"trap '' INT TERM; touch /tmp/shared/up; sleep 1000"})");
    const pid_t pid = fleet.place.launch(fleet.words());
    (void)fleet.place.wait_for("up");
    CHECK_FALSE(fleet.processes("qemu-system-x86_64", "stays/").empty());
    ::kill(pid, SIGKILL);
    CHECK(wait_for_end(pid) == 128 + SIGKILL);
    CHECK(within(30,
                 [&] { return fleet.processes("qemu-system-x86_64", "").empty() && fleet.processes("runvm", "out/").empty(); }));
    CHECK(fleet.results().machines.size() == 2);
    CHECK_FALSE(fleet.results().over);
}

// A QEMU that runs only briefly, because the test is about which process outlives which.
// A QEMU that ends soon, except in every tenth machine: there it never ends by itself.
void write_brief_qemu(const std::string &path) {
    std::ofstream(path) << "#!/bin/sh\ncase $* in *-version*) echo 'QEMU emulator version 10.0.2'; exit ;; *help*) exit ;; esac\n"
                           "case $* in *guest=m-5\\ * | *guest=m-[0-9]5\\ * | *guest=m-1[0-9]5\\ *) exec sleep infinity ;; "
                           "esac\nexec sleep 0.3\n";
    fs::permissions(path, fs::perms::owner_all);
}

std::vector<pid_t> children_of(pid_t pid) {
    std::vector<pid_t> children;
    std::istringstream words(base::read_file(std::format("/proc/{0}/task/{0}/children", pid)).value_or(""));
    for (pid_t child = 0; words >> child;) children.push_back(child);
    return children;
}

TEST_CASE("of two hundred machines whose launchers and QEMUs are killed at random points none is lost and nothing is left") {
    const Fleet fleet;
    write_brief_qemu(fleet.path("qemu-brief"));
    fleet.write(std::format(R"("m":{{"copies":200,"description":{{"qemu":{{"program":{}}}}}}})",
                            base::json_text(fleet.path("qemu-brief"))));
    const pid_t pid = fleet.place.launch(fleet.words({}, 8));
    // The place's arguments start with env, which executes the fleet.
    std::mt19937 random(7);  // NOLINT(cert-msc51-cpp): the same points each time, as far as the kernel allows
    std::vector<pid_t> seen;
    int launchers = 0, qemus = 0;
    while (alive(pid)) {
        for (const pid_t launcher : children_of(pid)) {
            seen.push_back(launcher);
            const auto below = children_of(launcher);
            seen.insert(seen.end(), below.begin(), below.end());
            if (random() % 40 == 0 && ::kill(launcher, SIGKILL) == 0) ++launchers;
            if (!below.empty() && random() % 40 == 0 && ::kill(below.front(), SIGKILL) == 0) ++qemus;
        }
        pause_ms(static_cast<int>(random() % 60));
    }
    CHECK(wait_for_end(pid) == 1);
    INFO(fleet.place.output());
    CHECK(launchers > 0);
    CHECK(qemus > 0);
    const auto result = fleet.results();
    REQUIRE(result.machines.size() == 200);
    CHECK(result.over);
    CHECK(result.count(Outcome::passed) + result.count(Outcome::failed) == 200);
    CHECK(result.count(Outcome::passed) > 0);
    std::set<int> ends;
    for (const auto &m : result.machines) ends.insert(m.exit_code);
    for (const int code : ends) CHECK((code == 0 || code == 123 || code == 128 + SIGKILL));
    CHECK(within(30, [&] { return std::ranges::none_of(seen, [](pid_t one) { return alive(one); }); }));
    CHECK(fleet.nothing_left());
}

// Six machines from one boot: five copies and one that differs only in its timeout.
void write_forks(const Fleet &fleet, const std::string &parameters, const std::string &after = "") {
    std::string defaults = Fleet::defaults();
    defaults.insert(1, std::format(R"("kernelParams":["stage1.agent=only"{}],)", parameters));
    std::ofstream(fleet.path("fleet.json")) << std::format(
        R"({{"fork":true,"defaults":{},"nodes":{{"f":{{"copies":5,"after":{},"script":"cat /proc/sys/kernel/random/boot_id; dmesg"}},
            "g":{{"timeout":900,"after":{},"script":"cat /proc/sys/kernel/random/boot_id; dmesg"}}}}}})",
        defaults, base::json_text(after), base::json_text(after));
}

std::vector<fs::path> snapshots_of(const Fleet &fleet) {
    std::error_code error;
    std::vector<fs::path> found;
    for (const auto &entry : fs::directory_iterator(fleet.path("out/.snapshots"), error)) found.push_back(entry.path());
    return found;
}

TEST_CASE("machines of a fleet that are forks are booted once and restored, and the next run finds their snapshot") {
    const OwnCache cache;
    const Fleet fleet;
    write_forks(fleet, "");
    const auto ran = fleet.place.runvm(fleet.words());
    INFO(ran.output);
    REQUIRE(ran.status == 0);
    CHECK_THAT(ran.output, ContainsSubstring("the snapshot of f-1 and 5 more was made\n") && ContainsSubstring("6 passed in "));
    std::set<std::string> boots;
    for (const char *name : {"f-1", "f-2", "f-3", "f-4", "f-5", "g"}) {
        const std::string said = fleet.of(name, "output");
        boots.insert(said.substr(0, said.find('\n')));
        CHECK_THAT(said, ContainsSubstring("reseeded due to virtual machine fork"));
        CHECK_FALSE(fleet.of(name, "console.log").contains("Linux version"));  // the kernel's first words are the saved machine's
    }
    CHECK(boots.size() == 6);
    CHECK(fleet.nothing_left());
    const auto made = snapshots_of(fleet);
    REQUIRE(made.size() == 1);
    CHECK((fs::status(made.front().parent_path()).permissions() & fs::perms::mask) == fs::perms::owner_all);
    const auto saved = [&] { return must_run({"/usr/bin/stat", "-c", "%i %Y", made.front().string() + "/memory"}); };
    const std::string before = saved();

    const auto again = fleet.place.runvm(fleet.words({"--only", "f-2", "--only", "g"}));
    INFO(again.output);
    CHECK(again.status == 0);
    CHECK_THAT(again.output,
               ContainsSubstring("the snapshot of f-2 and 1 more still fits\n") && ContainsSubstring("2 passed in "));
    CHECK(saved() == before);
    ::setenv("QEMU_OPTS", "-device virtio-balloon-pci", 1);
    const auto options = fleet.place.runvm(fleet.words({"--only", "g"}));
    ::unsetenv("QEMU_OPTS");
    INFO(options.output);
    CHECK(options.status == 0);
    CHECK_THAT(options.output,
               ContainsSubstring("the snapshot of g is made anew: the devices must be the same: the snapshot has '"));
    CHECK(saved() != before);
    // What no machine of the file needs goes.
    write_forks(fleet, R"(,"quiet")");
    CHECK(fleet.place.runvm(fleet.words({"--only", "g"})).status == 0);
    CHECK(snapshots_of(fleet).size() == 2);
    std::ofstream(fleet.path("fleet.json")) << std::format(R"({{"defaults":{},"nodes":{{"a":{{"script":"true"}}}}}})",
                                                           Fleet::defaults());
    CHECK(fleet.place.runvm(fleet.words()).status == 0);
    CHECK_FALSE(fs::exists(fleet.path("out/.snapshots")));
}

TEST_CASE("without their snapshot a fleet's forks fail with the reason, and ctrl-c while it is made leaves nothing half done") {
    const OwnCache cache;
    const Fleet fleet;
    write_forks(fleet, R"(,"root=/dev/vdz","stage1.device-timeout=1")");
    const auto failed = fleet.place.runvm(fleet.words());
    INFO(failed.output);
    CHECK(failed.status == 1);
    const auto result = fleet.results();
    CHECK(result.count(Outcome::failed) == 6);
    CHECK_THAT(machine(result, "f-1").cause, ContainsSubstring("its snapshot was not made: ") && ContainsSubstring("/dev/vdz"));
    CHECK(machine(result, "f-1").exit_code == 120);
    CHECK(machine(result, "g").cause == "its snapshot was not made, see f-1");
    CHECK_THAT(fleet.of("f-1", "console.log"), ContainsSubstring("/dev/vdz"));
    CHECK(snapshots_of(fleet).empty());
    CHECK(fleet.nothing_left());

    write_forks(fleet, "", "sleep 1000");
    const pid_t pid = fleet.place.launch(fleet.words());
    REQUIRE(within(120, [&] { return !snapshots_of(fleet).empty() && !fleet.processes("qemu-system-x86_64", "f-1/").empty(); }));
    REQUIRE(::kill(pid, SIGINT) == 0);
    CHECK(wait_for_end(pid) == 128 + SIGINT);
    CHECK(fleet.nothing_left());
    CHECK(within(30, [&] { return snapshots_of(fleet).empty(); }));
    CHECK(fleet.results().count(Outcome::not_run) == 6);
    CHECK(fleet.results().over);
    write_forks(fleet, "");
    const auto resumed = fleet.place.runvm(fleet.words({"--resume"}));
    INFO(resumed.output);
    CHECK(resumed.status == 0);
    CHECK_THAT(resumed.output, ContainsSubstring("was made\n") && ContainsSubstring("6 passed in "));
}

TEST_CASE("what a fleet can't do is refused before any machine is started") {
    const Fleet fleet;
    const auto refused = [&](const std::vector<std::string> &more) {
        const auto exit = fleet.place.runvm(fleet.words(more));
        CHECK(exit.status == 124);
        CHECK_FALSE(fs::exists(fleet.path("out")));
        return exit.output;
    };
    CHECK(fleet.place.runvm({"fleet"}).output == "runvm: run a fleet: no file given; `runvm fleet init` writes an example\n");
    CHECK(refused({}) == std::format("runvm: read '{}': No such file or directory\n", fleet.path("fleet.json")));
    fleet.write(R"("a":{"vlans":[3]},"b":{"vlans":[3]},"c":{})");
    CHECK(refused({"--memory", "1000"}) ==
          "runvm: find room for 'a, b': they share a vlan, so they run at once and need 1024 MiB, but --memory lets all machines "
          "together have only 1000 MiB; raise it, or reduce memorySize\n");
    CHECK(refused({"--only", "d"}) == "runvm: find machine 'd': the fleet has no machine of this name\n");
    CHECK(refused({"--resume"}) ==
          std::format("runvm: resume '{}': No such file or directory; there are no results of a fleet; run it without --resume\n",
                      fleet.path("out")));
    CHECK_THAT(fleet.place.runvm({"fleet", "init", fleet.path("nowhere")}).output, ContainsSubstring("make one with nix-build"));
}

}  // namespace
