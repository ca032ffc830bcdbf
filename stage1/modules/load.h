// Loading kernel modules of the initrd: by name, by alias, and for the devices that are there.
#pragma once

#include <string>
#include <vector>

#include "mounts/base/error.h"
#include "mounts/boot/command_line.h"
#include "mounts/kernel/module_index.h"

namespace stage1 {

// The directory of this kernel's modules (/lib/modules/$(uname -r)) and its index.
class Modules {
  public:
    // An initrd without that directory is one for a kernel with everything built in: nothing to load, nothing missing.
    static base::Result<Modules> open(const std::string &root = "");

    // Loads what the names need, dependencies first, independent ones in parallel where there is more than one CPU. A
    // module that is loaded already is fine. Names that the initrd does not have go into `missing` when the kernel has
    // no such file system registered either. Error: the kernel refused one, with the file and its reason.
    struct Outcome {
        size_t loaded = 0;
        std::vector<std::string> missing;
    };
    base::Result<Outcome> load(const std::vector<std::string> &names);

    // Loads the drivers of every device that sysfs shows, again as long as new devices come forth (a bus driver
    // reveals its devices).
    base::Result<size_t> load_for_devices();

  private:
    Modules(std::string directory, mounts::ModuleIndex index, std::vector<mounts::Parameter> parameters)
        : directory_(std::move(directory)), index_(std::move(index)), parameters_(std::move(parameters)) {}
    base::Result<size_t> run(const mounts::ModulePlan &plan);
    [[nodiscard]] base::Result<> load_file(const std::string &path) const;

    std::string directory_;
    mounts::ModuleIndex index_;
    std::vector<mounts::Parameter> parameters_;  // the kernel's, some of which are a module's
    std::unordered_set<std::string> loaded_;     // paths
};

// `stage1` under the name modprobe, as the kernel calls it (kernel/module/kmod.c): modprobe -q -- NAME. The exit code.
int modprobe(int argc, char **argv);

}  // namespace stage1
