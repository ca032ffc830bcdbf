// A fleet for Slurm: the submitted job, and the combined results of its tasks. sbatch and squeue are scripts that record their
// arguments and answer like Slurm 22.05.
#include "hostside/fleet/slurm.h"

#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <cstdlib>
#include <filesystem>
#include <format>
#include <fstream>

#include "hostside/fleet/group_place.h"
#include "mounts/base/at.h"
#include "mounts/base/process.h"
#include "tests/support/disk.h"

namespace {

namespace fs = std::filesystem;
using hostside::FleetPlace;
using hostside::FleetResult;
using hostside::Outcome;

class Cluster {
  public:
    Cluster() : path_before_(std::getenv("PATH")) {
        fs::create_directory(path("run"));
        fs::create_directory(path("bin"));
        ::setenv("XDG_RUNTIME_DIR", path("run").c_str(), 1);
        ::setenv("PATH", (path("bin") + ":" + path_before_).c_str(), 1);
        program("sinfo", "echo '(null)'; echo 'ib,kvm'");
        program("qemu-system-x86_64", "echo 'QEMU emulator version 10.0.2'");
    }
    ~Cluster() {
        ::setenv("PATH", path_before_.c_str(), 1);
        ::unsetenv("XDG_RUNTIME_DIR");
    }
    Cluster(const Cluster &) = delete;
    Cluster &operator=(const Cluster &) = delete;

    [[nodiscard]] std::string path(const std::string &name) const { return scratch_.path(name); }
    void program(const std::string &name, const std::string &script) const {
        std::ofstream(path("bin/" + name)) << "#!/bin/sh\n" << script << '\n';
        fs::permissions(path("bin/" + name), fs::perms::owner_all);
    }
    void noted(size_t group, const FleetResult &result) const {
        fs::create_directories(hostside::group_directory(path("results"), group));
        std::ofstream(hostside::group_directory(path("results"), group) + "/results.json") << hostside::results_json(result);
    }

    const hostside::Fleet fleet{
        .name = "checks",
        .nodes = {{.name = "a",
                   .description = R"({"memorySize":512})",
                   .command = {"sh", "-ec", "a \"b\""},
                   .after = "",
                   .user = "bob",
                   .memory_mib = 512,
                   .cores = 2},
                  {.name = "server", .description = "{}", .service = true, .memory_mib = 1024, .cores = 1, .vlans = {1}},
                  {.name = "client", .description = "{}", .memory_mib = 1024, .cores = 2, .vlans = {1}}}};
    const std::vector<hostside::Group> groups =
        hostside::groups_of(fleet.nodes, [](const std::string &) { return std::nullopt; });

  private:
    support::ScratchDirectory scratch_;
    std::string path_before_;
};

FleetResult waiting(const hostside::Fleet &fleet) {
    FleetResult result{.name = fleet.name, .machines = {}};
    for (const auto &node : fleet.nodes) result.machines.push_back({.name = node.name, .memory_mib = node.memory_mib});
    return result;
}

}  // namespace

TEST_CASE("one array is given to Slurm, with the room that the largest group takes, and each group's file is a fleet") {
    const Cluster cluster;
    cluster.program("sbatch", "printf '%s\\n' \"$@\" >\"$0.asked\"; echo '4711;cluster'");
    const auto place = FleetPlace::create(cluster.path("results"));
    REQUIRE(place);
    const hostside::SlurmWish wish{
        .fleet = cluster.fleet, .groups = cluster.groups, .place = *place, .runvm = "/opt/run vm", .options = {"--qos=low"}};
    const auto job = hostside::submit_to_slurm(wish);
    INFO((job ? "" : base::message(job.error())));
    REQUIRE(job);
    CHECK(*job == "4711");
    CHECK(hostside::slurm_job_of(place->results()) == "4711");
    const std::string groups = place->results() + "/groups";
    CHECK(base::read_file(cluster.path("bin/sbatch.asked")).value() ==
          std::format("--parsable\n--job-name=checks\n--output={0}/%a.log\n--qos=low\n{0}/job.sh\n", groups));
    using Catch::Matchers::ContainsSubstring;
    const std::string script = base::read_file(groups + "/job.sh").value();
    CHECK_THAT(script, ContainsSubstring("#SBATCH --array=0-1\n") && ContainsSubstring("--cpus-per-task=3\n") &&
                           ContainsSubstring("#SBATCH --constraint=kvm\n") &&
                           ContainsSubstring(std::format("--mem={}M\n", 2 * (1024 + 128) + 64)) &&
                           ContainsSubstring("'/opt/run vm' fleet \"$group.json\" -o \"$group\""));
    CHECK(base::run({.argv = {"sh", "-n", groups + "/job.sh"}})->status == 0);
    const auto first = hostside::read_fleet(groups + "/0.json", [](const std::string &) { return "/x"; });
    INFO((first ? "" : base::message(first.error())));
    REQUIRE(first);
    REQUIRE(first->nodes.size() == 1);
    CHECK(first->name == "checks");
    CHECK(first->nodes[0].command == cluster.fleet.nodes[0].command);
    CHECK(first->nodes[0].memory_mib == 512);
    CHECK(first->nodes[0].after == "");
    CHECK(first->nodes[0].user == "bob");
    const auto second = hostside::read_fleet(groups + "/1.json", [](const std::string &) { return "/x"; });
    REQUIRE(second);
    REQUIRE(second->nodes.size() == 2);
    CHECK(second->nodes[0].service);
    CHECK(fs::read_symlink(place->results() + "/client") == "groups/1/client");
}

TEST_CASE("the job's script asks for a requeue after 123 alone, and not for ever") {
    const Cluster cluster;
    cluster.program("scontrol", "echo \"$@\" >>\"$0.asked\"");
    cluster.program("sleep", "true");
    const auto place = FleetPlace::create(cluster.path("results"));
    REQUIRE(place);
    const std::string runvm = cluster.path("bin/runvm"), asked = cluster.path("bin/scontrol.asked");
    const std::string groups = cluster.path("results/groups");
    fs::create_directories(groups);
    std::ofstream(groups + "/0.json") << "{}";
    std::ofstream(cluster.path("job.sh")) << hostside::job_script({.fleet = cluster.fleet,
                                                                   .groups = cluster.groups,
                                                                   .place = *place,
                                                                   .runvm = runvm,
                                                                   .options = {},
                                                                   .qemu = "QEMU emulator version 10.0.2"},
                                                                  false);
    const auto run = [&](int code, const std::string &restarts) {
        cluster.program("runvm", std::format("exit {}", code));
        const auto exit = base::run({.argv = {"env", "SLURM_ARRAY_TASK_ID=0", "SLURM_JOB_ID=9", "SLURM_ARRAY_JOB_ID=9",
                                              "SLURM_RESTART_COUNT=" + restarts, "sh", cluster.path("job.sh")},
                                     .capture_output = true});
        REQUIRE(exit);
        return exit->status;
    };
    for (const int code : {0, 1, 120, 121, 122, 124, 143}) CHECK(run(code, "") == code);
    CHECK(run(123, "3") == 123);
    CHECK_FALSE(fs::exists(asked));
    CHECK(run(123, "") == 123);
    CHECK(run(123, "2") == 123);
    CHECK(base::read_file(asked).value() == "requeue 9_0\nrequeue 9_0\n");
    // Messages for what a node lacks, and for a node with another QEMU.
    const auto says = [&] {
        auto exit = base::run({.argv = {"env", "SLURM_ARRAY_TASK_ID=0", "sh", cluster.path("job.sh")}, .capture_output = true});
        REQUIRE(exit);
        return std::format("{} {}", exit->status, exit->output.substr(exit->output.find(' ') + 1));
    };
    cluster.program("runvm", "exit 0");
    CHECK(says() == "0 ");
    cluster.program("qemu-system-x86_64", "echo 'QEMU emulator version 7.2.9'");
    CHECK(says().ends_with(" has a different QEMU than the fleet's host: QEMU emulator version 7.2.9\n"));
    fs::remove(cluster.path("bin/qemu-system-x86_64"));
    ::setenv("PATH", (cluster.path("bin") + ":/usr/bin:/bin").c_str(), 1);
    if (!fs::exists("/usr/bin/qemu-system-x86_64"))
        CHECK_THAT(says(),
                   Catch::Matchers::StartsWith("124 ") &&
                       Catch::Matchers::EndsWith(" has no QEMU: no qemu-system-x86_64; install it there, or name one that all "
                                                 "nodes see (qemu.program)\n"));
    fs::remove(runvm);
    CHECK_THAT(says(), Catch::Matchers::StartsWith("124 ") &&
                           Catch::Matchers::EndsWith(" has no " + runvm + "; install it there, or use one that all nodes see\n"));
    fs::remove(groups + "/0.json");
    CHECK_THAT(says(), Catch::Matchers::EndsWith(" can't read " + place->results() +
                                                 "/groups/0.json; -o must name a directory that all nodes share\n"));
}

TEST_CASE("a fleet's results are what its tasks noted, whoever waits again waits, and a task that left none has failed") {
    const Cluster cluster;
    const auto &nodes = cluster.fleet.nodes;
    cluster.program("sbatch", "echo 12");
    const auto place = FleetPlace::create(cluster.path("results"));
    REQUIRE(place);
    REQUIRE(hostside::submit_to_slurm(
        {.fleet = cluster.fleet, .groups = cluster.groups, .place = *place, .runvm = "/runvm", .options = {}}));
    FleetResult result = waiting(cluster.fleet);
    hostside::gather(place->results(), {{0, "PENDING"}, {1, "PENDING"}}, result);
    CHECK(result.count(Outcome::waiting) == 3);
    CHECK_FALSE(result.over);
    cluster.noted(0, {.name = "checks",
                      .machines = {{.name = nodes[0].name, .outcome = Outcome::failed, .exit_code = 7, .cause = "seven"}}});
    cluster.noted(1, {.name = "checks",
                      .machines = {{.name = "server", .outcome = Outcome::running},
                                   {.name = "client", .outcome = Outcome::running, .state = "kernel"}}});
    hostside::gather(place->results(), {{1, "RUNNING"}}, result);
    CHECK(result.machines[0].exit_code == 7);
    CHECK(result.count(Outcome::running) == 2);
    // The node was lost, and the task waits for another.
    hostside::gather(place->results(), {{1, "PENDING"}}, result);
    CHECK(result.count(Outcome::waiting) == 2);
    CHECK(result.machines[2].memory_mib == 0);  // as recorded by the task
    // No task will run it again.
    hostside::gather(place->results(), {}, result);
    CHECK(result.over);
    CHECK(result.machines[2].outcome == Outcome::failed);
    CHECK(result.machines[2].cause == "its job ended while the machine ran; it had reached: kernel");
    fs::remove_all(hostside::group_directory(place->results(), 1));
    result = waiting(cluster.fleet);
    hostside::gather(place->results(), {}, result);
    CHECK(
        result.machines[2].cause ==
        "its job ended without a result or a log: its node may not see the results' directory (-o), which all nodes must share");
    const auto with_log = [&](const std::string &text) {
        std::ofstream(place->results() + "/groups/1.log") << text;
        result = waiting(cluster.fleet);
        hostside::gather(place->results(), {}, result);
        return result.machines[2].cause;
    };
    CHECK(with_log("slurmstepd: error\n") == "its job ended without a result; see groups/1.log");
    CHECK(with_log("runvm: n2 has no QEMU\nslurmstepd: error\n") == "n2 has no QEMU");
}

TEST_CASE("what squeue says of other jobs and of tasks that are over is passed over") {
    const Cluster cluster;
    cluster.program(
        "squeue", "printf '12 0 RUNNING\\n13 1 RUNNING\\n12 3 PENDING\\n12 4 COMPLETING\\n14 N/A RUNNING\\n12 5 CONFIGURING\\n'");
    const auto tasks = hostside::slurm_tasks("12");
    REQUIRE(tasks);
    CHECK(*tasks == std::map<size_t, std::string>{{0, "RUNNING"}, {3, "PENDING"}, {4, "COMPLETING"}, {5, "CONFIGURING"}});
}

TEST_CASE(
    "nodes with the feature kvm are asked for when there are any, and a machine that must have KVM is refused without them") {
    const Cluster cluster;
    const auto place = FleetPlace::create(cluster.path("results"));
    REQUIRE(place);
    cluster.program("sbatch", "echo 12");
    hostside::Fleet fleet{.name = "f", .nodes = {{.name = "a", .description = "{}", .memory_mib = 1, .cores = 1}}};
    const auto submitted = [&](const std::string &accelerator) -> std::string {
        fleet.nodes[0].description = std::format(R"({{"accelerator":"{}"}})", accelerator);
        const auto groups = hostside::groups_of(fleet.nodes, [](const std::string &) { return std::nullopt; });
        const auto job =
            hostside::submit_to_slurm({.fleet = fleet, .groups = groups, .place = *place, .runvm = "/runvm", .options = {}});
        if (!job) return base::message(job.error());
        const auto script = base::read_file(place->results() + "/groups/job.sh").value_or("");
        return script.contains("--constraint=kvm") ? "kvm" : "any";
    };
    CHECK(submitted("auto") == "kvm");
    CHECK(submitted("kvm") == "kvm");
    CHECK(submitted("tcg") == "any");
    cluster.program("sinfo", "echo 'kvm2,no-kvm'");
    CHECK(submitted("auto") == "any");
    CHECK(submitted("kvm") ==
          "find nodes with KVM for 'a': no Slurm node has the feature kvm; run `runvm check --kvm KERNEL` on a node to see "
          "whether it should have it (Features=kvm in slurm.conf)");
}

TEST_CASE("no Slurm, and one that refuses, are told with what it said") {
    const Cluster cluster;
    const auto place = FleetPlace::create(cluster.path("results"));
    REQUIRE(place);
    const hostside::SlurmWish wish{
        .fleet = cluster.fleet, .groups = cluster.groups, .place = *place, .runvm = "/runvm", .options = {}};
    cluster.program("sbatch", "echo 'sbatch: error: Batch job submission failed: Invalid account' >&2; exit 1");
    CHECK(base::message(hostside::submit_to_slurm(wish).error()) ==
          "run 'sbatch': sbatch: error: Batch job submission failed: Invalid account");
    cluster.program(
        "sbatch", "echo 'sbatch: error: Batch job submission failed: Requested node configuration is not available' >&2; exit 1");
    CHECK_THAT(
        base::message(hostside::submit_to_slurm(wish).error()),
        Catch::Matchers::EndsWith("is not available; no node has enough memory and processors for the largest machine, or for "
                                  "all machines of a vlan: `sinfo --Node --long` lists the nodes; lower memorySize or cores"));
    cluster.program("sbatch", "echo soon");
    CHECK(base::message(hostside::submit_to_slurm(wish).error()) == "run 'sbatch': expected the job's number, not: soon");
    fs::remove(cluster.path("bin/sinfo"));
    ::setenv("PATH", cluster.path("bin").c_str(), 1);
    CHECK(
        base::message(hostside::submit_to_slurm(wish).error()) ==
        "run 'sinfo': No such file or directory; Slurm's commands are not installed here; run the fleet on a host that has them");
}
