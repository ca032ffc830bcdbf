// Loads the initrd's kernel modules: by name, by alias, and for the devices that exist.
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
    // An initrd without this directory is for a kernel with everything built in: nothing to load, nothing missing.
    static base::Result<Modules> open(const std::string &root = "");

    // Loads modules by name with their dependencies first. Loads independent ones in parallel if there is more than one CPU.
    // Modules that are already loaded are fine. A file system that neither the initrd nor the kernel has goes into `missing`.
    // Error: the kernel refused a module; the error has the file and the reason.
    struct Outcome {
        size_t loaded = 0;
        std::vector<std::string> missing;
    };
    base::Result<Outcome> load(const std::vector<std::string> &names);

    // Loads the drivers of every device in sysfs, and repeats while new devices appear (a bus driver reveals its devices).
    base::Result<size_t> load_for_devices();

  private:
    Modules(std::string directory, mounts::ModuleIndex index, std::vector<mounts::Parameter> parameters)
        : directory_(std::move(directory)), index_(std::move(index)), parameters_(std::move(parameters)) {}
    base::Result<size_t> run(const mounts::ModulePlan &plan);
    [[nodiscard]] base::Result<> load_file(const std::string &path) const;

    std::string directory_;
    mounts::ModuleIndex index_;
    std::vector<mounts::Parameter> parameters_;  // of the kernel, including those of modules
    std::unordered_set<std::string> loaded_;     // their paths
};

// `stage1` under the name modprobe, as the kernel runs it (kernel/module/kmod.c): modprobe -q -- NAME. Returns the exit code.
int modprobe(int argc, char **argv);

}  // namespace stage1
