#include "hostside/fleet/engine_tool.h"

#include <format>

#include "hostside/base/last_line.h"
#include "hostside/base/printable.h"
#include "mounts/base/process.h"

namespace hostside {

base::Result<std::string> ask_engine(const std::vector<std::string> &argv, const std::string &absent) {
    constexpr size_t enough_bytes = size_t{16} << 20;
    auto exit = base::run({.argv = argv, .capture_output = true, .output_limit_bytes = enough_bytes});
    if (!exit) return base::fail(exit.error().code, "run", argv[0], absent);
    if (exit->status != 0)
        return base::fail(
            0, "run", argv[0],
            exit->output.empty() ? std::format("it ended with status {}", exit->status) : printable(last_line(exit->output)));
    return exit->output;
}

}  // namespace hostside
