#include "hostside/qemu/firmware.h"

#include <fnmatch.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <format>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "hostside/base/bounded_json.h"
#include "mounts/base/at.h"

namespace hostside {

namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr size_t most_descriptions = 1000;
// QEMU's own descriptions have a kilobyte and a depth of 4.
constexpr JsonLimits description_limits{
    .what = "a description of firmware", .bytes = size_t{64} << 10, .keys = 1000, .depth = 16};

// Null: not a description. An empty file hides the distribution's file with the same name.
json description_in(const std::string &path) {
    const auto text = base::read_file(path, description_limits.bytes);
    return text && check_json(*text, path, description_limits) ? json::parse(*text, nullptr, false) : json();
}

const json &field(const json &object, std::string_view key) {
    static const json none;
    if (!object.is_object()) return none;
    const auto found = object.find(key);
    return found == object.end() ? none : *found;
}

bool lists(const json &list, std::string_view word) {
    return list.is_array() && std::ranges::any_of(list, [&](const json &one) { return one.is_string() && one == word; });
}

bool is_for(const json &description, const std::string &machine_type) {
    // One of QEMU's versioned names, because descriptions match these.
    const std::string name = machine_type == "q35" ? "pc-q35-10.0" : "pc-i440fx-10.0";
    const json &targets = field(description, "targets");
    return targets.is_array() && std::ranges::any_of(targets, [&](const json &target) {
               const json &machines = field(target, "machines");
               return field(target, "architecture") == "x86_64" && machines.is_array() &&
                      std::ranges::any_of(machines, [&](const json &pattern) {
                          return pattern.is_string() && ::fnmatch(pattern.get<std::string>().c_str(), name.c_str(), 0) == 0;
                      });
           });
}

// A readable raw file; empty: it is not one.
std::string file_of(const json &mapping, std::string_view key) {
    const json &file = field(mapping, key), &name = field(file, "filename");
    if (!name.is_string() || field(file, "format") != "raw") return {};
    auto path = name.get<std::string>();
    return path.starts_with('/') && !path.contains('\0') && ::access(path.c_str(), R_OK) == 0 ? path : "";
}

std::optional<Firmware> firmware_of(const json &description, const std::string &machine_type, bool secure) {
    const json &features = field(description, "features"), &mapping = field(description, "mapping"),
               &mode = field(mapping, "mode");
    if (!lists(field(description, "interface-types"), "uefi") || !is_for(description, machine_type)) return std::nullopt;
    if (field(mapping, "device") != "flash" || !(mode.is_null() || mode == "split")) return std::nullopt;
    const bool enrolled = lists(features, "secure-boot") && lists(features, "enrolled-keys");
    const bool plain = !lists(features, "enrolled-keys") && !lists(features, "requires-smm");
    if (secure ? !enrolled : !plain) return std::nullopt;
    Firmware firmware{file_of(mapping, "executable"), file_of(mapping, "nvram-template")};
    if (firmware.code.empty() || firmware.variables.empty()) return std::nullopt;
    return firmware;
}

}  // namespace

std::vector<std::string> firmware_directories(const std::string &qemu) {
    std::vector<std::string> directories;
    const char *config = std::getenv("XDG_CONFIG_HOME"), *home = std::getenv("HOME");
    if (config != nullptr && *config == '/')
        directories.push_back(std::string(config) + "/qemu/firmware");
    else if (home != nullptr && *home == '/')
        directories.push_back(std::string(home) + "/.config/qemu/firmware");
    directories.insert(directories.end(), {"/etc/qemu/firmware", "/usr/share/qemu/firmware"});
    std::error_code error;
    const fs::path program = fs::canonical(qemu, error);
    if (!error) directories.push_back((program.parent_path().parent_path() / "share/qemu/firmware").string());
    return directories;
}

base::Result<Firmware> find_firmware(const std::vector<std::string> &directories, const std::string &machine_type, bool secure) {
    std::map<std::string, std::string> paths;  // by name
    for (const auto &directory : directories) {
        std::error_code error;
        for (fs::directory_iterator it(directory, error), end; !error && it != end && paths.size() < most_descriptions;
             it.increment(error))
            if (it->path().extension() == ".json") paths.emplace(it->path().filename(), it->path());
    }
    for (const auto &[name, path] : paths)
        if (auto firmware = firmware_of(description_in(path), machine_type, secure)) return *firmware;
    std::string where;
    for (const auto &directory : directories) where += (where.empty() ? "" : ", ") + directory;
    return base::fail(0, "find EFI firmware", "",
                      std::format("no firmware {}for {} is described in {}; install OVMF (Debian: ovmf, Fedora: edk2-ovmf), or "
                                  "name files with --efi-firmware and --efi-variables",
                                  secure ? "with Secure Boot and enrolled keys " : "", machine_type, where));
}

}  // namespace hostside
