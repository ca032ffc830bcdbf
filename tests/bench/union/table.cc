#include "tests/bench/union/table.h"

#include <algorithm>
#include <array>
#include <format>
#include <fstream>
#include <print>

namespace bench {

namespace {

struct Goal {
    std::string_view row;
    double cost;  // relative to overlayfs
};
constexpr std::array goals{Goal{"stat, cold", 3},
                           Goal{"stat, warm", 0.9},
                           Goal{"missing name, cold", 4},
                           Goal{"missing name, warm", 1},
                           Goal{"find, cold", 5},
                           Goal{"find, warm", 1.5},
                           Goal{"find + stat, cold", 2},
                           Goal{"find + stat, warm", 1.5},
                           Goal{"open + close, cold", 3.5},
                           Goal{"open + close, warm", 1.1},
                           Goal{"read all small files, cold", 5},
                           Goal{"read all small files, warm", 1},
                           Goal{"tar of the tree, cold", 2.5},
                           Goal{"sequential read 1 MiB, cold", 1},
                           Goal{"sequential read 1 MiB, warm", 1},
                           Goal{"random 4 KiB read, cold", 1},
                           Goal{"mmap read, cold", 1},
                           Goal{"mmap read, random, cold", 1},
                           Goal{"4 readers, cold", 2.7},
                           Goal{"4 readers, warm", 1},
                           Goal{"exec of 200 programs", 1.1},
                           Goal{"write 4 KiB blocks", 1},
                           Goal{"write 128 KiB blocks", 1},
                           Goal{"write 1024 KiB blocks", 1},
                           Goal{"create", 8},
                           Goal{"rename in the upper", 7},
                           Goal{"unlink", 3},
                           Goal{"copy-up of 64 MB", 0.5},
                           Goal{"copy-up of 1,000 small files", 3},
                           Goal{"chmod of 1,000 lower files", 2.5},
                           Goal{"rename of 1,000 lower files", 3.5},
                           Goal{"rename of a merged directory", 1},
                           Goal{"rm -r of a merged tree", 5},
                           Goal{"cp -a", 5},
                           Goal{"untar", 7},
                           Goal{"rm -rf of the copy", 4},
                           Goal{"compile -j2", 1.1},
                           Goal{"git clone", 4.5},
                           Goal{"git status", 1.8}};

double median(std::vector<double> values) {
    std::ranges::sort(values);
    return values.empty() ? 0 : values[values.size() / 2];
}

struct Row {
    std::string name;
    double base = 0;              // seconds of overlayfs
    double goal = 0;              // 0: none
    std::vector<double> costs{};  // a peer's each
    std::vector<std::string> marks{};
    [[nodiscard]] bool flagged() const {
        return std::ranges::any_of(marks, [](const std::string &mark) { return !mark.empty(); });
    }
};

Row row_of(const Results &results, const std::vector<Peer> &peers, const std::string &name) {
    Row row{.name = name};
    const auto &seconds = results.seconds.at(name);
    const auto found = std::ranges::find(goals, std::string_view(name), &Goal::row);
    if (found != goals.end()) row.goal = found->cost;
    row.base = median(seconds.at("overlayfs"));
    double rival = 1e9;
    for (const Peer &peer : peers) {
        const auto at = seconds.find(peer.name);
        row.costs.push_back(at == seconds.end() ? 0 : median(at->second) / row.base);
        if (!peer.ours && peer.name != "overlayfs" && row.costs.back() > 0) rival = std::min(rival, row.costs.back());
    }
    for (size_t i = 0; i < peers.size(); ++i) {
        std::string mark;
        if (peers[i].ours && row.goal > 0 && row.costs[i] > row.goal) mark += '!';
        if (peers[i].ours && row.costs[i] > rival) mark += '<';
        row.marks.push_back(mark);
    }
    return row;
}

}  // namespace

void print_table(const Results &results, const std::vector<Peer> &peers, bool flagged_only) {
    std::print("{:<30}{:>13}{:>7}", "row", "overlayfs ms", "goal");
    for (const Peer &peer : peers)
        if (peer.name != "overlayfs") std::print("{:>16}", " " + peer.name);
    std::println("");
    for (const std::string &name : results.rows) {
        const Row row = row_of(results, peers, name);
        if (flagged_only && !row.flagged()) continue;
        std::print("{:<30}{:>13.2f}{:>7}", name, row.base * 1000, row.goal > 0 ? std::format("{}", row.goal) : "");
        for (size_t i = 0; i < peers.size(); ++i)
            if (peers[i].name != "overlayfs") std::print("{:>14.2f}{:<2}", row.costs[i], row.marks[i]);
        std::println("");
    }
    std::println("! misses the goal   < a rival is cheaper");
    for (const Peer &peer : peers)
        if (const auto at = results.daemons.find(peer.name); at != results.daemons.end() && at->second.threads > 0)
            std::println("daemon of {}: peak memory {:.1f} MiB, {} descriptors, {} threads", peer.name, at->second.peak_mebibytes,
                         at->second.descriptors, at->second.threads);
}

void write_json(const Results &results, const std::vector<Peer> &peers, const std::string &path) {
    std::ofstream json(path);
    json << "{\"rows\":[";
    for (const std::string &name : results.rows) {
        const Row row = row_of(results, peers, name);
        json << (name == results.rows.front() ? "" : ",")
             << std::format("\n{{\"row\":\"{}\",\"overlayfs_seconds\":{:.6f},\"goal\":{}", name, row.base, row.goal);
        for (size_t i = 0; i < peers.size(); ++i)
            if (peers[i].name != "overlayfs")
                json << std::format(",\"{}\":{:.3f},\"{} flags\":\"{}\"", peers[i].name, row.costs[i], peers[i].name,
                                    row.marks[i]);
        json << "}";
    }
    json << "\n],\"daemons\":{";
    std::string comma;
    for (const auto &[name, cost] : results.daemons) {
        json << comma
             << std::format("\n\"{}\":{{\"peak_mebibytes\":{:.1f},\"descriptors\":{},\"threads\":{}}}", name, cost.peak_mebibytes,
                            cost.descriptors, cost.threads);
        comma = ",";
    }
    json << "\n}}\n";
}

}  // namespace bench
