// Which machines of a fleet run together, in which order, and how much of a host is free for them.
#include "hostside/fleet/schedule.h"

#include <catch_amalgamated.hpp>
#include <climits>
#include <filesystem>
#include <fstream>
#include <map>

#include "hostside/fleet/free_room.h"
#include "tests/support/disk.h"

namespace {

using hostside::Group;
using hostside::Node;
using hostside::Room;

Node node(const std::string &name, std::vector<int> vlans = {}, int memory_mib = 100, int cores = 1) {
    return {.name = name, .memory_mib = memory_mib, .cores = cores, .vlans = std::move(vlans)};
}

std::vector<std::vector<size_t>> members(const std::vector<Group> &groups) {
    std::vector<std::vector<size_t>> result;
    for (const auto &group : groups) result.push_back(group.members);
    return result;
}

// A fake /proc and /sys of a host.
struct Host {
    support::ScratchDirectory scratch;
    void has(const std::string &path, const std::string &text) const {
        std::filesystem::create_directories(std::filesystem::path(scratch.path(path)).parent_path());
        std::ofstream(scratch.path(path)) << text;
    }
    [[nodiscard]] std::string root() const { return scratch.path("."); }
};

constexpr const char *meminfo = "MemTotal:       24684196 kB\nMemFree:         1000000 kB\nMemAvailable:   16777216 kB\n";
constexpr int64_t mib = 1 << 20;

}  // namespace

TEST_CASE("machines that meet on a vlan, over others too, are one group; who is on none is alone") {
    const std::vector<Node> nodes{node("a", {1}), node("b"), node("c", {2}), node("d", {1, 2}), node("e", {3}), node("f", {3})};
    const auto groups = hostside::groups_of(nodes, [](const std::string &) { return std::nullopt; });
    CHECK(members(groups) == std::vector<std::vector<size_t>>{{0, 2, 3}, {1}, {4, 5}});
    CHECK(groups[0].processors == 3);
    CHECK(groups[0].memory_mib == 3 * (100 + 128));
}

TEST_CASE("whom nobody knows is started first, then the longest; a group takes as long as its longest machine") {
    const std::map<std::string, double> known{{"short", 1}, {"long", 90}, {"pair", 5}, {"partner", 30}};
    const std::vector<Node> nodes{node("short"), node("pair", {1}), node("partner", {1}), node("long"), node("new")};
    const auto groups = hostside::groups_of(
        nodes, [&](const std::string &name) { return known.contains(name) ? std::optional(known.at(name)) : std::nullopt; });
    CHECK(members(groups) == std::vector<std::vector<size_t>>{{4}, {3}, {1, 2}, {0}});
}

TEST_CASE("a group begins when its processors and memory are there, of the fleet's share and of the host") {
    const Group group{.members = {0}, .memory_mib = 1000, .processors = 2, .expected_s = {}};
    const Room all{4000, 4};
    CHECK(hostside::has_room(group, all, {3000, 2}, 1000));
    CHECK_FALSE(hostside::has_room(group, all, {3001, 2}, 4000));
    CHECK_FALSE(hostside::has_room(group, all, {0, 3}, 4000));
    CHECK_FALSE(hostside::has_room(group, all, {0, 0}, 999));  // another process took it
    const Group wide{.members = {0}, .memory_mib = 1000, .processors = 16, .expected_s = {}};
    CHECK(hostside::has_room(wide, all, {0, 0}, 4000));
    CHECK_FALSE(hostside::has_room(wide, all, {0, 1}, 4000));
}

TEST_CASE("memory is what the kernel has available, as far as no control group has less") {
    const Host host;
    CHECK(hostside::free_memory_mib(host.root()) == INT64_MAX / mib);
    host.has("proc/meminfo", meminfo);
    CHECK(hostside::free_memory_mib(host.root()) == 16384);
    SECTION("version 2: of the group and of each above it, files that are not used are free") {
        host.has("proc/self/cgroup", "0::/user.slice/job\n");
        host.has("sys/fs/cgroup/user.slice/job/memory.max", "max\n");
        host.has("sys/fs/cgroup/user.slice/job/memory.current", "1\n");
        CHECK(hostside::free_memory_mib(host.root()) == 16384);
        host.has("sys/fs/cgroup/user.slice/memory.max", std::to_string(1000 * mib));
        host.has("sys/fs/cgroup/user.slice/memory.current", std::to_string(700 * mib));
        CHECK(hostside::free_memory_mib(host.root()) == 300);
        host.has("sys/fs/cgroup/user.slice/memory.stat", "anon 5\ninactive_file " + std::to_string(600 * mib) + "\n");
        CHECK(hostside::free_memory_mib(host.root()) == 900);
        host.has("sys/fs/cgroup/user.slice/memory.current", std::to_string(1700 * mib));
        CHECK(hostside::free_memory_mib(host.root()) == 0);
    }
    SECTION("version 2 in a container, which sees its own group as the root") {
        host.has("proc/self/cgroup", "0::/\n");
        host.has("sys/fs/cgroup/memory.max", std::to_string(500 * mib));
        host.has("sys/fs/cgroup/memory.current", "0\n");
        CHECK(hostside::free_memory_mib(host.root()) == 500);
    }
    SECTION("version 1, beside an empty version 2") {
        host.has("proc/self/cgroup", "5:devices:/\n4:memory:/job/inner\n0::/\n");
        host.has("sys/fs/cgroup/memory/job/memory.limit_in_bytes", std::to_string(800 * mib));
        host.has("sys/fs/cgroup/memory/job/memory.usage_in_bytes", std::to_string(300 * mib));
        host.has("sys/fs/cgroup/memory/job/memory.stat",
                 "inactive_file 1\ntotal_inactive_file " + std::to_string(100 * mib) + "\n");
        host.has("sys/fs/cgroup/memory/job/inner/memory.limit_in_bytes", "9223372036854771712\n");
        host.has("sys/fs/cgroup/memory/job/inner/memory.usage_in_bytes", "0\n");
        CHECK(hostside::free_memory_mib(host.root()) == 600);
    }
}

TEST_CASE("a quota bounds the processors, whole ones, and at least one") {
    const Host host;
    CHECK(hostside::quota_processors(host.root()) == INT_MAX);
    SECTION("version 2") {
        host.has("proc/self/cgroup", "0::/a/b\n");
        host.has("sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
        CHECK(hostside::quota_processors(host.root()) == INT_MAX);
        host.has("sys/fs/cgroup/a/cpu.max", "350000 100000\n");
        CHECK(hostside::quota_processors(host.root()) == 3);
        host.has("sys/fs/cgroup/a/b/cpu.max", "5000 100000\n");
        CHECK(hostside::quota_processors(host.root()) == 1);
    }
    SECTION("version 1") {
        host.has("proc/self/cgroup", "3:cpu,cpuacct:/a\n0::/\n");
        host.has("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "-1\n");
        host.has("sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
        CHECK(hostside::quota_processors(host.root()) == INT_MAX);
        host.has("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "200000\n");
        CHECK(hostside::quota_processors(host.root()) == 2);
    }
}

TEST_CASE("this host has room for a machine") {
    const Room room = hostside::free_room();
    CHECK(room.memory_mib > 0);
    CHECK(room.processors >= 1);
}
