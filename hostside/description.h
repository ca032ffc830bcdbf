// One description from many places: the defaults < a file < the environment < flags. Each layer is a JSON object; the
// one table in description.cc says which keys there are, of what type, and is also the schema and the list of flags.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hostside/machine.h"
#include "mounts/base/error.h"

namespace hostside {

struct Layer {
    std::string origin;   // for people: "vm.json", "environment NIX_DISK_IMAGE", "--memory"
    std::string json;     // an object
    bool append = false;  // lists are added to what is there, instead of taking its place
};

// Error: which layer, the path of the key in it (`/shares/1/source`), and what is expected there.
base::Result<Machine> machine_from(const std::vector<Layer> &layers);

// The result, a line a value: `memorySize = 2048  # --memory`.
base::Result<std::string> describe(const std::vector<Layer> &layers);

// JSON Schema (draft 2020-12) of a description.
std::string schema();

// What a flag or a variable sets, as a layer. `path` is a key or `qemu.KEY`; the text is read as the key's type.
base::Result<Layer> setting(std::string_view path, const std::string &text, std::string origin);

// A top-level or qemu key that one word can set, for the command line.
struct Key {
    std::string path;  // `memorySize`, `qemu.machine`
    std::string flag;  // `--memory-size`
    std::string help;
    bool boolean = false, list = false;
};
std::vector<Key> keys();

}  // namespace hostside
