// What depmod wrote, as an index: from a module's name or alias to the files to load, dependencies first. Pure.
// The text forms are read (modules.dep(5), modules.alias, modules.softdep, modules.builtin): an initrd has a few dozen
// lines of them, and the binary forms would need depmod again where the initrd is made.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace mounts {

struct ModuleTexts {
    std::string dep, alias, softdep, builtin;
};

// One file to load; `after` are indices of this plan's earlier entries that must be loaded before.
struct ModuleStep {
    std::string path;  // as in modules.dep, relative to the modules' directory
    std::vector<size_t> after;
};

struct ModulePlan {
    std::vector<ModuleStep> steps;     // in an order that works one by one
    std::vector<std::string> missing;  // what is neither a module, an alias nor built in
};

class ModuleIndex {
  public:
    // Lines that cannot be understood are passed over: a foreign depmod may know more kinds than we do.
    explicit ModuleIndex(const ModuleTexts &texts);

    // `names` are module names (`-` and `_` are the same) or aliases (`fs-ext4`, `virtio:d00000002v00001AF4`).
    [[nodiscard]] ModulePlan plan(const std::vector<std::string> &names) const;

    // The modules that say that they drive a device with this modalias. Empty: none.
    [[nodiscard]] std::vector<std::string> drivers_of(const std::string &modalias) const;

  private:
    struct Module {
        std::string path;
        std::vector<std::string> dependencies;  // normalized names
        std::vector<std::string> before;        // soft dependencies: names or aliases; their absence is no error
    };
    [[nodiscard]] std::vector<std::string> resolve(const std::string &name) const;

    std::unordered_map<std::string, Module> modules_;                    // by normalized name
    std::unordered_map<std::string, std::vector<std::string>> aliases_;  // exact ones
    std::vector<std::pair<std::string, std::string>> patterns_;          // with wildcards, see fnmatch(3)
    std::unordered_set<std::string> builtin_;
};

// `kernel/fs/ext4/ext4.ko.xz` → `ext4`; `-` becomes `_`.
std::string module_name(std::string_view path);

}  // namespace mounts
