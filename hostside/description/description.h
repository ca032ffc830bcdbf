// Builds one description from several sources: the defaults < a file < the environment < flags. Each layer is a JSON object;
// the rows of option.h define the keys and their types.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "hostside/description/machine.h"
#include "mounts/base/error.h"

namespace hostside {

inline constexpr size_t description_limit_bytes = size_t{16} << 20;  // limit for a layer's text

struct Layer {
    std::string origin;   // for people: "vm.json", "environment NIX_DISK_IMAGE", "--memory"
    std::string json;     // an object
    bool append = false;  // lists extend the existing ones instead of replacing them
};

// Error: the layer, the JSON pointer of the key in it (`/sharedDirectories/1/source`), and what is expected there.
base::Result<Machine> machine_from(const std::vector<Layer> &layers);

// The result with one value per line, `memorySize = 2048  # --memory`, or as one JSON description for --config.
base::Result<std::string> describe(const std::vector<Layer> &layers);
base::Result<std::string> describe_json(const std::vector<Layer> &layers);

// JSON Schema (draft 2020-12) of a description.
std::string schema();

// A value from a flag or a variable, as a layer. `path` is a key (`qemu.machine`). The text is parsed as the key's type or as
// its shorthand. Error: neither fits.
base::Result<Layer> setting(std::string_view path, const std::string &text, std::string origin);

// A key that a single word can set, for the command line.
struct Key {
    std::string path;        // `memorySize`, `qemu.machine`
    std::string flag;        // `--memory-size`
    std::string more_flags;  // `-m,--memory`
    std::string help, subject;
    std::string value;     // the placeholder for its value: `MIB`
    std::string fallback;  // `true`, `1024`; empty: no default worth showing
    std::vector<std::string> choices{};
    bool boolean = false;
    std::string alone{};  // what the flag means without a value; empty: a value is required
};
std::vector<Key> keys();

}  // namespace hostside
