#include "hostside/launch/prepare.h"

#include <filesystem>
#include <utility>

#include "hostside/launch/apply.h"
#include "hostside/launch/boot_facts.h"
#include "hostside/launch/facts.h"
#include "hostside/launch/plan.h"
#include "hostside/launch/shell_lines.h"

namespace hostside {

namespace fs = std::filesystem;

void make_paths_absolute(Machine &m) {
    const auto absolute = [](std::string &path) {
        if (!path.empty()) path = fs::absolute(path).lexically_normal();
    };
    for (auto *path :
         {&m.store, &m.kernel, &m.modules, &m.initrd, &m.stage1, &m.boot_disk, &m.bios, &m.disk_image, &m.shared_dir})
        absolute(*path);
    // NixOS names a package, which has the file.
    std::error_code error;
    if (!m.bios.empty() && fs::is_directory(m.bios, error)) m.bios += "/bios.bin";
    for (auto &drive : m.drives) absolute(drive.file);
    for (auto &file : m.backing_files) absolute(file);
    for (auto &share : m.shared_directories) absolute(share.source);
}

base::Result<Prepared> prepare(const Machine &m, const PrepareOptions &options) {
    auto facts = look_at_host(m, options);
    if (!facts) return std::unexpected(facts.error());
    auto plan = plan_launch(m, std::move(*facts));
    if (!plan) return std::unexpected(plan.error());
    auto held = apply(*plan);
    if (!held) return std::unexpected(held.error());
    return Prepared{std::move(plan->host), std::move(plan->notes), std::move(held->locks), std::move(held->vlans),
                    std::move(held->relays)};
}

base::Result<std::string> complete_initrd(const Machine &m) {
    LaunchFacts facts;
    if (auto seen = look_at_initrd(facts, m, {.run_folder = ""}); !seen) return std::unexpected(seen.error());
    return plan_initrd(facts, "").and_then(content);
}

base::Result<std::string> printed_launch(const Machine &m, const PrepareOptions &options,
                                         const std::vector<std::string> &initrd_command) {
    auto facts = look_at_host(m, options);
    if (!facts) return std::unexpected(facts.error());
    auto plan = plan_launch(m, std::move(*facts));
    if (!plan) return std::unexpected(plan.error());
    return shell_lines(*plan, m, initrd_command);
}

}  // namespace hostside
