// The syntax of the kernel command line: `name`, `name=value`, and double quotes around what holds spaces
// (Linux, Documentation/admin-guide/kernel-parameters.rst and lib/cmdline.c next_arg). What the names mean is in
// boot_parameters.h. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mounts {

struct Parameter {
    std::string name;
    std::optional<std::string> value;  // absent for a bare `name`; may be empty for `name=`
    bool operator==(const Parameter &) const = default;
};

// In order of appearance. Never fails: the kernel takes any text. What follows a bare `--` belongs to init and is left out.
std::vector<Parameter> parse_command_line(std::string_view text);

// What `MODULE.NAME=VALUE` parameters say to one module, as init_module(2) takes it: `NAME=VALUE NAME`. `-` and `_` are the same
// in a module's name.
std::string module_options(const std::vector<Parameter> &parameters, std::string_view module);

}  // namespace mounts
