#include "stage1/base/boot_input.h"

#include <sys/sysinfo.h>

#include <algorithm>
#include <cerrno>
#include <format>
#include <ranges>

#include "mounts/base/at.h"
#include "mounts/devices/nine_p.h"
#include "mounts/devices/oem_strings.h"
#include "mounts/protocol.h"

namespace stage1 {

namespace {

using base::Result;

constexpr size_t text_limit_bytes = size_t{1} << 20;

Result<std::string> read_optional(std::string_view path) {
    auto text = base::read_file(std::string(path), text_limit_bytes);
    if (!text && text.error().code == ENOENT) return std::string();
    return text;
}

// The launcher's parameters if a boot loader sets the command line. Empty without SMBIOS, or if the machine was not started by
// the launcher.
std::string oem_parameters() {
    std::string text;
    constexpr std::string_view prefix = mounts::protocol::oem_parameters_prefix;
    for (const auto &one : mounts::oem_strings(base::read_file("/sys/firmware/dmi/tables/DMI", text_limit_bytes).value_or("")))
        if (one.starts_with(prefix)) text += std::format(" {}", one.substr(prefix.size()));
    return text;
}

}  // namespace

Result<BootSources> read_boot_sources() {
    BootSources sources;
    auto command_line = base::read_file("/proc/cmdline", text_limit_bytes);
    auto parameters = read_optional(mounts::protocol::parameters_file);
    auto fstab = read_optional(mounts::protocol::fstab_file);
    auto modules = read_optional(mounts::protocol::modules_file);
    for (auto *text : {&command_line, &parameters, &fstab, &modules})
        if (!*text) return std::unexpected(text->error());
    struct sysinfo info{};
    if (::sysinfo(&info) == 0) sources.memory_bytes = uint64_t{info.totalram} * info.mem_unit;
    sources.oem_parameters = oem_parameters();
    sources.command_line = std::move(*command_line);
    sources.parameters = std::move(*parameters);
    sources.fstab = std::move(*fstab);
    sources.modules = std::move(*modules);
    return sources;
}

Result<mounts::PlanInput> boot_input(const BootSources &sources, const std::string &target_root) {
    auto words = mounts::parse_command_line(sources.oem_parameters);
    const bool has_root = std::ranges::contains(words, mounts::protocol::root_parameter, &mounts::Parameter::name);
    for (auto &word : mounts::parse_command_line(sources.command_line))
        // NixOS passes root=fstab, which means the table in its own initrd. The launcher knows the root disk, so its root=
        // counts.
        if (!has_root || word.name != mounts::protocol::root_parameter || word.value != "fstab") words.push_back(std::move(word));
    for (auto &word : mounts::parse_command_line(sources.parameters)) words.push_back(std::move(word));
    auto parameters = mounts::boot_parameters(words);
    if (!parameters) return std::unexpected(parameters.error());
    const uint32_t msize = mounts::choose_msize_bytes(sources.memory_bytes);
    auto table = mounts::parse_fstab(sources.fstab.empty() ? mounts::default_fstab(msize) : sources.fstab,
                                     sources.fstab.empty() ? "built-in" : std::string(mounts::protocol::fstab_file));
    if (!table) return std::unexpected(table.error());
    auto file_systems = mounts::apply_parameters(std::move(table->file_systems), *parameters, msize);
    if (!file_systems) return std::unexpected(file_systems.error());
    std::vector<std::string> modules;
    for (auto part : std::views::split(sources.modules, '\n'))
        if (const std::string_view line(part); !line.empty()) modules.emplace_back(line);
    return mounts::PlanInput{.file_systems = std::move(*file_systems),
                             .passed_over = std::move(table->passed_over),
                             .parameters = std::move(*parameters),
                             .target_root = target_root,
                             .root_mounted = false,
                             .memory_bytes = sources.memory_bytes,
                             .modules = std::move(modules)};
}

Result<mounts::PlanInput> boot_input(const std::string &target_root) {
    return read_boot_sources().and_then([&](const BootSources &sources) { return boot_input(sources, target_root); });
}

mounts::BootParameters failure_policy() {
    mounts::BootParameters policy;
    for (const std::string_view path : {std::string_view("/proc/cmdline"), mounts::protocol::parameters_file})
        for (const auto &word : mounts::parse_command_line(read_optional(path).value_or("")))
            if (const auto one = mounts::boot_parameters({word})) {
                policy.panic_on_fail |= one->panic_on_fail;
                policy.shell_on_fail |= one->shell_on_fail;
                policy.consoles.insert(policy.consoles.end(), one->consoles.begin(), one->consoles.end());
            }
    return policy;
}

}  // namespace stage1
