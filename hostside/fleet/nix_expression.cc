#include "hostside/fleet/nix_expression.h"

#include <algorithm>
#include <format>
#include <utility>

#include "hostside/description/description.h"
#include "hostside/fleet/group_place.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;

constexpr std::string_view store = "/nix/store/";

// A Nix string literal.
std::string nix_text(std::string_view text) {
    std::string result = "\"";
    for (const char c : text) switch (c) {
        case '"':
        case '\\':
        case '$': (result += '\\') += c; break;
        case '\n': result += "\\n"; break;
        case '\r': result += "\\r"; break;
        default: result += c;
        }
    return result + "\"";
}

std::string nix_list(const std::vector<std::string> &texts) {
    std::string result = "[";
    for (const auto &text : texts) result += " " + nix_text(text);
    return result + " ]";
}

// Uses a program in the store as it is; copies runvm and stage1 there otherwise.
std::string program(const std::string &runvm) {
    if (runvm.starts_with(store)) return std::format("builtins.storePath {}", nix_text(runvm));
    return std::format(
        R"("${{builtins.path {{
    name = "runvm";
    path = {};
    filter = path: type: builtins.elem (baseNameOf path) [ "runvm" "stage1" ];
  }}}}/runvm")",
        nix_text(runvm.substr(0, runvm.rfind('/'))));
}

bool is_emulated(const Node &node) {
    const auto machine = machine_from({{node.name, node.description, false}});
    return machine && machine->accelerator == "tcg";
}

std::string group_of(const NixWish &wish, size_t number) {
    const Group &group = wish.groups[number];
    std::string file = group_json(wish.fleet, group);
    std::vector<std::string> features = wish.features;
    const auto emulated = [&](size_t member) { return is_emulated(wish.fleet.nodes[member]); };
    if (!std::ranges::all_of(group.members, emulated) && !std::ranges::contains(features, "kvm")) features.emplace_back("kvm");
    const auto again = wish.again.find(number);
    return std::format(R"(
    {} = {{
      file = {};
      paths = {};
      features = {};
      memory = "{}";
      processors = "{}";
      again = {};
    }};)",
                       nix_text(derivation_name(wish.fleet, group)), nix_text(file), nix_list(store_paths_in(file)),
                       nix_list(features), group.memory_mib, std::max(group.processors, 1),
                       nix_text(again == wish.again.end() ? "" : again->second));
}

}  // namespace

std::string derivation_name(const Fleet &fleet, const Group &group) { return fleet.nodes[group.members.front()].name; }

std::vector<std::string> store_paths_in(std::string_view text) {
    constexpr size_t hash_letters = 32;
    constexpr std::string_view of_hash = "0123456789abcdfghijklmnpqrsvwxyz",
                               of_name = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-._?=";
    std::vector<std::string> paths;
    for (size_t at = 0; (at = text.find(store, at)) != std::string_view::npos; at += store.size()) {
        const std::string_view base = text.substr(at + store.size());
        const size_t end = std::min(base.find_first_not_of(of_name), base.size());
        if (end < hash_letters + 2 || base[hash_letters] != '-') continue;
        if (base.substr(0, hash_letters).find_first_not_of(of_hash) != std::string_view::npos) continue;
        paths.emplace_back(text.substr(at, store.size() + end));
    }
    std::ranges::sort(paths);
    const auto [first, last] = std::ranges::unique(paths);
    paths.erase(first, last);
    return paths;
}

Result<> only_of_the_store(const Node &node) {
    if (!node.from.empty())
        return fail(
            0, "give Nix", node.name,
            "it is restored from a snapshot, whose memory is its owner's alone, and in the store it would be everybody's; "
            "let it boot (without from), or take another engine");
    const auto machine = machine_from({{node.name, node.description, false}});
    if (!machine) return std::unexpected(machine.error());
    const Machine &m = *machine;
    std::vector<std::pair<std::string, std::string>> named{{"toplevel", m.toplevel},
                                                           {"kernel", m.kernel},
                                                           {"modules", m.modules},
                                                           {"initrd", m.initrd},
                                                           {"regInfo", m.reginfo},
                                                           {"stage1", m.stage1},
                                                           {"bios", m.bios},
                                                           {"qemu.program", m.qemu},
                                                           {"sharedDir", m.shared_dir},
                                                           {"bootDisk", m.boot_disk},
                                                           {"efi.firmware", m.efi_firmware}};
    for (const auto &directory : m.shared_directories) named.emplace_back("sharedDirectories", directory.source);
    for (const auto &drive : m.drives) named.emplace_back("drives", drive.file);
    for (const auto &file : m.backing_files) named.emplace_back("backingFiles", file);
    for (const auto &credential : m.credentials) named.emplace_back("credentials", credential.source);
    if (m.disk_image.starts_with('/')) named.emplace_back("diskImage", m.disk_image);
    if (m.store != store.substr(0, store.size() - 1)) named.emplace_back("store", m.store);
    for (const auto &[key, path] : named)
        // A program without a slash is looked up in the build's PATH.
        if (!path.empty() && !path.starts_with(store) && (key != "qemu.program" || path.contains('/')))
            return fail(
                0, "give Nix", node.name,
                std::format(
                    "{} is {}, which a build on another host can't see; add it to the store (nix-store --add), or leave it out",
                    key, path));
    return {};
}

std::string nix_expression(const NixWish &wish) {
    std::string groups;
    for (size_t i = 0; i < wish.groups.size(); ++i) groups += group_of(wish, i);
    return std::format(
        R"(# Written by runvm fleet. `groups`: a derivation for each machine, or for those that meet on a vlan, whose output is their
# results, passed or not. `report`: all of them as one. `passed`: for each, a derivation that fails when a machine failed.
{{ runvm ? {0}
, system ? builtins.currentSystem
, features ? null # that builders must have, instead of what is said below
}}:
let
  qemu = {1};

  group = name: group: derivation {{
    name = "fleet-${{name}}";
    inherit system;
    builder = runvm;
    requiredSystemFeatures = if features == null then group.features else features;
    inputs = map builtins.storePath group.paths;
    PATH = qemu;
    inherit (group) again;
    args = [
      "fleet" (builtins.toFile "${{name}}.json" group.file) "-o" (placeholder "out") "--memory" group.memory
      "--processors" group.processors "--exit-qemu-failed" "--results-suffice"
    ];
  }};

  gather = name: flags: results: derivation {{
    inherit name system;
    builder = runvm;
    args = [ "fleet" "-o" (placeholder "out") ] ++ flags ++ builtins.concatMap (result: [ "--gather" result ]) results;
  }};

  groups = builtins.mapAttrs group {{{2}
  }};
in
{{
  inherit groups;
  report = gather "fleet-report" [ "--results-suffice" ] (builtins.attrValues groups);
  passed = builtins.mapAttrs (name: result: gather "passed-${{name}}" [ ] [ result ]) groups;
}}
)",
        program(wish.runvm), wish.qemu_path.empty() ? "\"\"" : std::format("builtins.storePath {}", nix_text(wish.qemu_path)),
        groups);
}

}  // namespace hostside
