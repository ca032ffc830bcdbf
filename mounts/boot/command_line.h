// The syntax of the kernel command line: `name`, `name=value`, and double quotes around text with spaces (Linux,
// Documentation/admin-guide/kernel-parameters.rst and lib/cmdline.c next_arg). boot_parameters.h knows what the names mean.
// Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mounts {

struct Parameter {
    std::string name;
    std::optional<std::string> value;  // absent for a bare `name`; empty for `name=`
    bool operator==(const Parameter &) const = default;
};

// In order of appearance. Never fails, because the kernel accepts any text. Leaves out what follows a bare `--`, which belongs
// to init.
std::vector<Parameter> parse_command_line(std::string_view text);

// The `MODULE.NAME=VALUE` parameters of one module in the form of init_module(2): `NAME=VALUE NAME`. `-` and `_` are the same
// in a module's name.
std::string module_options(const std::vector<Parameter> &parameters, std::string_view module);

}  // namespace mounts
