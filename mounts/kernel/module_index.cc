#include "mounts/kernel/module_index.h"

#include <fnmatch.h>

#include <algorithm>
#include <ranges>

namespace mounts {

namespace {

std::vector<std::string_view> words(std::string_view line) {
    std::vector<std::string_view> result;
    for (auto part : std::views::split(line, ' '))
        if (const std::string_view word(part); !word.empty()) result.push_back(word);
    return result;
}

void for_each_line(std::string_view text, auto &&take) {
    for (auto part : std::views::split(text, '\n'))
        if (const std::string_view line(part); !line.empty() && line.front() != '#') take(line);
}

std::string normalized(std::string_view name) {
    std::string result(name);
    std::ranges::replace(result, '-', '_');
    return result;
}

// A depth-first walk over the dependencies: a module enters the plan after everything that it needs. `entered` also breaks
// cycles in a damaged modules.dep. The walk keeps its own stack, because a chain may be as long as the file.
struct Walk {
    struct Level {
        std::string name;
        std::string path;
        std::vector<std::string> needs;
        size_t next = 0;
    };
    ModulePlan plan;
    std::unordered_map<std::string, size_t> done;
    std::unordered_set<std::string> entered;
    std::vector<Level> open;
};

void leave(Walk &walk) {
    const Walk::Level &level = walk.open.back();
    ModuleStep step{.path = level.path};
    for (const auto &need : level.needs)
        if (const auto index = walk.done.find(need); index != walk.done.end()) step.after.push_back(index->second);
    walk.done.emplace(level.name, walk.plan.steps.size());
    walk.plan.steps.push_back(std::move(step));
    walk.open.pop_back();
}

}  // namespace

std::string module_name(std::string_view path) {
    path = path.substr(path.rfind('/') + 1);
    return normalized(path.substr(0, path.find(".ko")));
}

ModuleIndex::ModuleIndex(const ModuleTexts &texts) {
    for_each_line(texts.dep, [&](std::string_view line) {
        const size_t colon = line.find(':');
        if (colon == std::string_view::npos) return;
        Module module{.path = std::string(line.substr(0, colon))};
        for (const auto path : words(line.substr(colon + 1))) module.dependencies.push_back(module_name(path));
        modules_.insert_or_assign(module_name(module.path), std::move(module));
    });
    for_each_line(texts.alias, [&](std::string_view line) {
        const auto parts = words(line);
        if (parts.size() != 3 || parts[0] != "alias") return;
        if (parts[1].find_first_of("*?[") == std::string_view::npos)
            aliases_[normalized(parts[1])].push_back(normalized(parts[2]));
        else
            patterns_.emplace_back(parts[1], normalized(parts[2]));
    });
    for_each_line(texts.softdep, [&](std::string_view line) {
        const auto parts = words(line);
        if (parts.size() < 3 || parts[0] != "softdep") return;
        const auto module = modules_.find(normalized(parts[1]));
        if (module == modules_.end()) return;
        bool before = false;
        for (const auto word : std::span(parts).subspan(2)) {
            if (word == "pre:")
                before = true;
            else if (word == "post:")
                before = false;
            else if (before)
                module->second.before.emplace_back(word);
        }
    });
    for_each_line(texts.builtin, [&](std::string_view line) { builtin_.insert(module_name(line)); });
}

std::vector<std::string> ModuleIndex::drivers_of(const std::string &modalias) const {
    std::vector<std::string> drivers;
    if (const auto exact = aliases_.find(normalized(modalias)); exact != aliases_.end()) drivers = exact->second;
    for (const auto &[pattern, module] : patterns_)
        if (::fnmatch(pattern.c_str(), modalias.c_str(), 0) == 0) drivers.push_back(module);
    return drivers;
}

std::vector<std::string> ModuleIndex::resolve(const std::string &name) const {
    const std::string key = normalized(name);
    if (modules_.contains(key)) return {key};
    return drivers_of(name);
}

ModulePlan ModuleIndex::plan(const std::vector<std::string> &names) const {
    Walk walk;
    const auto enter = [&](const std::string &name) {
        if (!walk.entered.insert(name).second) return;
        const auto module = modules_.find(name);
        if (module == modules_.end()) return;
        Walk::Level level{.name = name, .path = module->second.path, .needs = {}};
        for (const auto &soft : module->second.before)
            for (auto &provider : resolve(soft)) level.needs.push_back(std::move(provider));
        // modules.dep lists dependencies nearest first, including indirect ones.
        for (const auto &dependency : module->second.dependencies | std::views::reverse) level.needs.push_back(dependency);
        walk.open.push_back(std::move(level));
    };
    const auto visit = [&](const std::string &name) {
        enter(name);
        while (!walk.open.empty()) {
            Walk::Level &level = walk.open.back();
            if (level.next == level.needs.size())
                leave(walk);
            else
                enter(std::string(level.needs[level.next++]));  // a copy, because enter() may move the levels
        }
    };
    for (const auto &name : names) {
        const auto found = resolve(name);
        for (const auto &module : found) visit(module);
        // A file system may be built in under a name without the prefix (fs-9p is `9p`).
        const std::string bare = normalized(name.starts_with("fs-") ? std::string_view(name).substr(3) : std::string_view(name));
        if (found.empty() && !builtin_.contains(bare)) walk.plan.missing.push_back(name);
    }
    return std::move(walk.plan);
}

}  // namespace mounts
