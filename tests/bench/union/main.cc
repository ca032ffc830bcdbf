// The union's benchmark: the same work on overlayfs, on ours in both modes, and on the other unions in user space, in
// interleaved rounds; the cost of each row is told relative to overlayfs in the same run. Needs root.

#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <print>

#include "tests/bench/union/table.h"
#include "tests/support/rings.h"

namespace {

namespace fs = std::filesystem;

struct Arguments {
    std::string upper, output, only;
    std::vector<std::string> without;
    std::vector<bench::Peer> more;
    int rounds = 3, packages = 100, seconds = 480;
    bool flagged_only = false, processor_time = false;
};

int usage() {
    std::print(stderr,
               "usage: union [OPTION...] OUTPUT.json\n"
               "  --upper DIR          uppers lie in DIR; default: a new tmpfs\n"
               "  --only GROUP,...     of these rows alone\n"
               "  --without PEER       leaves one out (again for more)\n"
               "  --peer NAME=PROGRAM  compares with one more that takes fuse-overlayfs's options (again for more)\n"
               "  --flagged            prints only rows that miss the goal or lose to a rival\n"
               "  --processor-time     of client and daemon, instead of the time elapsed\n"
               "  --rounds N           3    --packages N  100    --seconds N  480: no round is begun after them\n");
    for (const bench::Group &group : bench::groups()) std::println(stderr, "  group {}: {}", group.name, group.holds);
    return 2;
}

bool parse(int argc, char **argv, Arguments &arguments) {
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        const auto value = [&] { return i + 1 < argc ? std::string(argv[++i]) : std::string(); };
        if (word == "--upper")
            arguments.upper = value();
        else if (word == "--only")
            arguments.only = "," + value() + ",";
        else if (word == "--without")
            arguments.without.push_back(value());
        else if (word == "--peer")
            arguments.more.push_back(bench::peer_of(value()));
        else if (word == "--flagged")
            arguments.flagged_only = true;
        else if (word == "--processor-time")
            arguments.processor_time = true;
        else if (word == "--rounds")
            arguments.rounds = std::atoi(value().c_str());
        else if (word == "--packages")
            arguments.packages = std::max(60, std::atoi(value().c_str()));
        else if (word == "--seconds")
            arguments.seconds = std::atoi(value().c_str());
        else if (word.starts_with("-"))
            return false;
        else
            arguments.output = word;
    }
    return !arguments.output.empty();
}

void keep_dearest(bench::Daemon &kept, const bench::Daemon &seen) {
    kept.peak_mebibytes = std::max(kept.peak_mebibytes, seen.peak_mebibytes);
    kept.descriptors = std::max(kept.descriptors, seen.descriptors);
    kept.threads = std::max(kept.threads, seen.threads);
}

}  // namespace

int main(int argc, char **argv) {
    Arguments arguments;
    if (!parse(argc, argv, arguments)) return usage();
    if (::geteuid() != 0) {
        std::println(stderr, "bench: needs root, for it mounts");
        return 1;
    }
    bench::need(::unshare(CLONE_NEWNS) == 0 && ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0,
                "mount namespace");
    std::vector<bench::Peer> peers = bench::known_peers(fs::absolute("build/unionfs"));
    const std::string no_io_uring = support::missing_io_uring();
    const support::Rings rings(no_io_uring.empty());  // until the last mount
    if (!no_io_uring.empty()) {
        std::println(stderr, "bench: without io_uring: {}", no_io_uring);
        std::erase_if(peers, [](const bench::Peer &peer) { return peer.name == "io_uring"; });
    }
    peers.insert(peers.end(), arguments.more.begin(), arguments.more.end());
    std::erase_if(peers, [&](const bench::Peer &peer) { return std::ranges::contains(arguments.without, peer.name); });
    const fs::path report = fs::absolute(arguments.output);
    char name[] = "/tmp/bench-union-XXXXXX";
    bench::need(::mkdtemp(name) != nullptr, name);
    bench::need(::mount("bench", name, "tmpfs", 0, "size=80%") == 0, "tmpfs");
    bench::Lower lower{.path = fs::path(name) / "lower"};
    lower.fill(arguments.packages);
    const fs::path base = (arguments.upper.empty() ? fs::path(name) : fs::absolute(arguments.upper)) / "bench-union";
    bench::Results results{.processor_time = arguments.processor_time};
    const auto start = std::chrono::steady_clock::now();
    for (int round = 0; round < arguments.rounds; ++round) {
        if (std::chrono::steady_clock::now() - start > std::chrono::seconds(arguments.seconds)) {
            std::println(stderr, "bench: {} seconds are over after {} rounds of {}", arguments.seconds, round, arguments.rounds);
            break;
        }
        for (const bench::Peer &peer : peers) {
            std::println(stderr, "bench: round {} of {}: {}", round + 1, arguments.rounds, peer.name);
            for (const bench::Group &group : bench::groups()) {
                if (!arguments.only.empty() && !arguments.only.contains("," + group.name + ",")) continue;
                bench::Mounted mounted(peer, base / peer.name, lower.path);
                group.measure(results, mounted, lower);
                keep_dearest(results.daemons[peer.name], mounted.daemon());
            }
        }
    }
    bench::print_table(results, peers, arguments.flagged_only);
    bench::write_json(results, peers, report);
    fs::remove_all(base);
    ::umount2(name, MNT_DETACH);
    ::rmdir(name);
    return 0;
}
