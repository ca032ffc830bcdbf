#include "hostside/system_layout.h"

#include <unistd.h>

#include <filesystem>
#include <format>

#include "mounts/base/at.h"
#include "mounts/parameter.h"
#include "mounts/protocol.h"

namespace hostside {

namespace fs = std::filesystem;
using base::fail;
using base::Result;

std::string host_path(const Machine &machine, const std::string &guest_path) {
    const std::string prefix = std::string(mounts::protocol::store_dir) + "/";
    if (!guest_path.starts_with(prefix)) return guest_path;
    return machine.store + "/" + guest_path.substr(prefix.size());
}

namespace {

// Follows the links of a toplevel, each of which names a path of the guest's store. Bounded, as the kernel bounds it.
Result<std::string> resolved(const Machine &machine, std::string path) {
    for (int links = 0; links < 40; ++links) {
        std::error_code error;
        const fs::path target = fs::read_symlink(path, error);
        if (error) break;
        path = target.is_absolute() ? host_path(machine, target.string())
                                    : (fs::path(path).parent_path() / target).lexically_normal().string();
    }
    if (::access(path.c_str(), R_OK) < 0) return fail(errno, "open", path);
    return path;
}

Result<std::string> modules_folder(const Machine &machine, const std::string &toplevel) {
    auto root = resolved(machine, toplevel + "/kernel-modules");
    if (!root) return root;
    std::error_code error;
    for (const auto &release : fs::directory_iterator(*root + "/lib/modules", error))
        if (fs::exists(release.path() / "modules.dep", error)) return release.path().string();
    return fail(0, "find modules", *root, "no lib/modules/RELEASE/modules.dep in it");
}

}  // namespace

Result<> complete_from_toplevel(Machine &machine) {
    if (machine.toplevel.empty()) return {};
    const std::string toplevel = host_path(machine, machine.toplevel);
    if (::access(toplevel.c_str(), X_OK) < 0)
        return fail(errno, "open", toplevel, std::format("the toplevel {} in the store {}", machine.toplevel, machine.store));
    if (machine.init.empty()) machine.init = machine.toplevel + "/init";
    if (machine.kernel.empty()) {
        auto kernel = resolved(machine, toplevel + "/kernel");
        if (!kernel) return std::unexpected(kernel.error());
        machine.kernel = std::move(*kernel);
    }
    if (machine.initrd.empty() && machine.modules.empty()) {
        auto modules = modules_folder(machine, toplevel);
        if (!modules) return std::unexpected(modules.error());
        machine.modules = std::move(*modules);
    }
    // What the system itself asks for comes first: what the user says later, wins.
    if (auto text = base::read_file(toplevel + "/kernel-params", size_t{1} << 16)) {
        std::vector<std::string> parameters;
        for (const auto &[name, value] : mounts::parse_command_line(*text))
            parameters.push_back(value ? name + "=" + *value : name);
        machine.kernel_parameters.insert(machine.kernel_parameters.begin(), parameters.begin(), parameters.end());
    }
    return {};
}

}  // namespace hostside
