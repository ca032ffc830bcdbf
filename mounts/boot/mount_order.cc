#include "mounts/boot/mount_order.h"

#include <algorithm>

#include "mounts/boot/source.h"

namespace mounts {

namespace {

struct Waiting {
    FileSystem fs;
    std::vector<std::string> sources;  // the paths that it is made from
};

bool lies_in(std::string_view path, std::string_view directory) {
    return directory == "/" || path == directory ||
           (path.size() > directory.size() && path.starts_with(directory) && path[directory.size()] == '/');
}

bool lies_in(const Waiting &one, const Waiting &other) { return &one != &other && lies_in(one.fs.target, other.fs.target); }

bool takes_from(const Waiting &one, const Waiting &other) {
    // A directory that is bound to itself, or that is a layer of the overlay on it, need not wait.
    return &one != &other && std::ranges::any_of(one.sources, [&](const auto &path) { return lies_in(path, other.fs.target); });
}

std::vector<Waiting>::iterator next_of(std::vector<Waiting> &waiting) {
    const auto is_free = [&](const Waiting &one, bool sources_too) {
        return std::ranges::none_of(
            waiting, [&](const Waiting &other) { return lies_in(one, other) || (sources_too && takes_from(one, other)); });
    };
    const auto next = std::ranges::find_if(waiting, [&](const Waiting &one) { return is_free(one, true); });
    if (next != waiting.end()) return next;
    auto first = waiting.end();
    for (auto one = waiting.begin(); one != waiting.end(); ++one)
        if (is_free(*one, false) && (first == waiting.end() || one->fs.line < first->fs.line)) first = one;
    return first;
}

}  // namespace

std::vector<FileSystem> in_mount_order(std::vector<FileSystem> file_systems) {
    std::ranges::stable_sort(file_systems, {}, &FileSystem::target);
    std::vector<Waiting> waiting;
    for (FileSystem &fs : file_systems) {
        std::vector<std::string> sources;
        for (const std::string &place : places(fs.source, fs.type, fs.options)) sources.push_back(plain_path(place));
        waiting.push_back({std::move(fs), std::move(sources)});
    }
    std::vector<FileSystem> ordered;
    while (!waiting.empty()) {
        const auto next = next_of(waiting);
        ordered.push_back(std::move(next->fs));
        waiting.erase(next);
    }
    return ordered;
}

}  // namespace mounts
