// An index of depmod's files: maps a module's name or alias to the files to load, dependencies first. Pure. Reads the text
// formats (modules.dep(5), modules.alias, modules.softdep, modules.builtin): an initrd has only a few dozen lines of them, and
// the binary formats would require depmod where the initrd is built.
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

// One file to load. `after` holds indices of earlier steps that must be loaded first.
struct ModuleStep {
    std::string path;  // as in modules.dep, relative to the modules directory
    std::vector<size_t> after;
};

struct ModulePlan {
    std::vector<ModuleStep> steps;     // in an order that works one by one
    std::vector<std::string> missing;  // neither a module, an alias nor built in
};

class ModuleIndex {
  public:
    // Ignores lines that it does not understand, because another depmod may write more kinds of lines.
    explicit ModuleIndex(const ModuleTexts &texts);

    // `names` are module names (`-` and `_` are the same) or aliases (`fs-ext4`, `virtio:d00000002v00001AF4`).
    [[nodiscard]] ModulePlan plan(const std::vector<std::string> &names) const;

    // The modules that claim to drive a device with this modalias. Empty: none.
    [[nodiscard]] std::vector<std::string> drivers_of(const std::string &modalias) const;

  private:
    struct Module {
        std::string path;
        std::vector<std::string> dependencies;  // normalized names
        std::vector<std::string> before;        // soft dependencies: names or aliases; may be absent
    };
    [[nodiscard]] std::vector<std::string> resolve(const std::string &name) const;

    std::unordered_map<std::string, Module> modules_;                    // by normalized name
    std::unordered_map<std::string, std::vector<std::string>> aliases_;  // aliases without wildcards
    std::vector<std::pair<std::string, std::string>> patterns_;          // with wildcards, see fnmatch(3)
    std::unordered_set<std::string> builtin_;
};

// `kernel/fs/ext4/ext4.ko.xz` → `ext4`; `-` becomes `_`.
std::string module_name(std::string_view path);

}  // namespace mounts
