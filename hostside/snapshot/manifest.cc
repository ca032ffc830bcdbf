#include "hostside/snapshot/manifest.h"

#include <algorithm>
#include <filesystem>
#include <format>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>

#include "hostside/base/bounded_json.h"
#include "hostside/base/cache.h"
#include "hostside/base/shell_words.h"
#include "hostside/description/description.h"
#include "mounts/base/at.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;
using nlohmann::json;
namespace fs = std::filesystem;

constexpr int manifest_version = 1;

// A name in the cache identifies the content; other files are identified by size and modification time.
std::string file_trait(const std::string &path) {
    const std::string cache = cache_path("");
    if (path.empty() || (!cache.empty() && path.starts_with(cache))) return path;
    std::error_code error;
    const auto size = fs::file_size(path, error);
    if (error) return path;
    const auto written = fs::last_write_time(path, error).time_since_epoch().count();
    return std::format("{} ({} bytes, written {})", fs::canonical(path, error).string(), size, written);
}

// This host's processor, which -cpu host passes on.
std::string processor() {
    const std::string text = base::read_file("/proc/cpuinfo").value_or("");
    const auto field = [&](std::string_view name) {
        const size_t at = text.find(name);
        const size_t colon = at == std::string::npos ? at : text.find(": ", at);
        return colon == std::string::npos ? std::string() : text.substr(colon + 2, text.find('\n', colon) - colon - 2);
    };
    return std::format("{} ({})", field("model name"), short_hash(field("flags")));
}

// QEMU's arguments without those that differ between runs or have their own trait.
std::string devices(Machine m, HostFacts host) {
    m.name = "name";
    m.node_number = 1;
    m.forward_ports.clear();
    m.timeout_s = 0;
    m.memory_mib = m.cores = 1;
    for (auto &share : m.shared_directories) share.source = "/shared";
    host.qemu = "qemu";
    host.run_as.reset();
    host.restored = false;
    host.kernel = host.initrd = host.command_line = "";
    host.memory_file = "/memory";
    for (auto *path : {&host.root_image, &host.store_image, &host.store_directory, &host.certificates})
        if (!path->empty()) *path = "/given";
    host.xchg = host.shared = host.run_directory = host.runtime = "/run";
    host.without_attributes.clear();
    host.terminal = true;
    host.monitor = false;
    host.typed_pipe.clear();
    host.console_log_fd = -1;
    const auto argv = qemu_argv(m, host);
    return argv ? quote_words(*argv) : base::message(argv.error());
}

// The guest's Nix knows these, and its store may be an image that has no others.
std::string joined(const std::vector<std::string> &paths) {
    std::string text;
    for (const auto &path : paths) text += (text.empty() ? "" : " ") + path;
    return text.empty() ? "the system alone" : text;
}

// The part of a long text where it begins to differ from the other.
std::string around(const std::string &text, const std::string &other) {
    constexpr size_t before = 40, enough = 160;
    const size_t differ = static_cast<size_t>(std::ranges::mismatch(text, other).in1 - text.begin());
    const size_t begin = text.size() <= enough ? 0 : differ - std::min(differ, before);
    return (begin > 0 ? "…" : "") + text.substr(begin, enough) + (begin + enough < text.size() ? "…" : "");
}

using Traits = std::vector<std::pair<std::string, std::string>>;

// The first trait that the snapshot does not have like this. Empty: none.
std::string differing_trait(const Traits &made, const Traits &wanted) {
    for (const auto &[name, value] : wanted) {
        const auto at = std::ranges::find(made, name, &Traits::value_type::first);
        const std::string was = at == made.end() ? "none" : at->second;
        if (was != value)
            return std::format("{} must be the same: the snapshot has '{}', but this machine has '{}'", name, around(was, value),
                               around(value, was));
    }
    return "";
}

std::optional<json> parsed(std::string_view text, const std::string &path) {
    constexpr JsonLimits limits{.what = "a snapshot's manifest", .bytes = size_t{32} << 20, .keys = 100'000, .depth = 32};
    if (!check_json(text, path, limits)) return std::nullopt;
    return json::parse(text);
}

}  // namespace

std::string manifest_text(const Manifest &manifest) {
    json traits = json::array();
    for (const auto &[name, value] : manifest.traits) traits.push_back({name, value});
    const json whole{{"version", manifest_version},        {"point", manifest.point}, {"disk", manifest.disk},
                     {"nodeNumber", manifest.node_number}, {"after", manifest.after}, {"description", manifest.description},
                     {"traits", std::move(traits)}};
    return whole.dump(1) + "\n";
}

Result<Manifest> parse_manifest(std::string_view text, const std::string &path) {
    const auto whole = parsed(text, path);
    const auto bad = [&] {
        return fail(0, "read snapshot", path,
                    "this is not a snapshot that this runvm can use; make a new one with runvm snapshot");
    };
    if (!whole || !whole->is_object() || whole->value("version", json()) != manifest_version) return bad();
    Manifest manifest;
    const auto of = [&](const char *key) { return whole->contains(key) ? (*whole)[key] : json(); };
    const json point = of("point"), disk = of("disk"), node = of("nodeNumber"), description = of("description"),
               traits = of("traits"), after = of("after");
    if (!point.is_string() || !disk.is_boolean() || !node.is_number_integer() || !description.is_string() || !traits.is_array())
        return bad();
    for (const auto &trait : traits) {
        if (!trait.is_array() || trait.size() != 2 || !trait[0].is_string() || !trait[1].is_string()) return bad();
        manifest.traits.emplace_back(trait[0].get<std::string>(), trait[1].get<std::string>());
    }
    manifest.point = point.get<std::string>();
    manifest.disk = disk.get<bool>();
    manifest.node_number = node.get<int>();
    manifest.description = description.get<std::string>();
    if (after.is_string()) manifest.after = after.get<std::string>();
    return manifest;
}

std::vector<std::pair<std::string, std::string>> traits_of(const Machine &m, const HostFacts &host) {
    std::vector<std::pair<std::string, std::string>> traits{
        {"QEMU", host.qemu_version},
        {"the accelerator", host.kvm ? "kvm" : "tcg"},
        {"the machine type", m.machine_type},
        {"the processor's model", m.cpu.empty() ? "as the accelerator's" : m.cpu},
        {"memory", std::format("{} MiB", m.memory_mib)},
        {"processors", std::to_string(m.cores)},
        {"the system", m.toplevel},
        {"the kernel", file_trait(host.kernel)},
        {"what is registered (pathsInNixDB)", joined(m.paths_in_nix_db)},  // explains another image of the store
        {"the store", host.store_image.empty() ? m.store : file_trait(host.store_image)},
        {"the kernel's command line", host.command_line},
        {"the initrd", file_trait(host.initrd)},
        {"the devices", devices(m, host)},
    };
    if (host.kvm) traits.insert(traits.begin() + 2, {"the host's processor", processor()});
    return traits;
}

std::vector<std::string> new_paths(const Manifest &manifest, const Machine &m) {
    if (manifest.point != "before-stage-2" || m.store_kind != "9p" || m.store.empty()) return {};
    const auto saved = machine_from({{"the snapshot", manifest.description, false}});
    if (!saved) return {};
    std::vector<std::string> paths;
    std::ranges::copy_if(m.paths_in_nix_db, std::back_inserter(paths),
                         [&](const std::string &path) { return !std::ranges::contains(saved->paths_in_nix_db, path); });
    return paths;
}

std::string shared_description(const std::string &description) {
    json whole = json::parse(description, nullptr, false);
    if (!whole.is_object()) return description;
    for (const char *own : {"name", "nodeNumber", "timeout"}) whole.erase(own);
    if (whole.contains("diskImage") && whole["diskImage"] != "") whole.erase("diskImage");  // "": no disk at all
    return whole.dump();
}

std::string difference(const Manifest &made, const Manifest &wanted) {
    if (made.point != wanted.point) return std::format("its key snapshot was {}, not {}", made.point, wanted.point);
    if (made.disk != wanted.disk) return made.disk ? "it has a disk" : "it has no disk";
    if (made.after != wanted.after) return "it waited for something else before it was saved";
    if (std::string trait = differing_trait(made.traits, wanted.traits); !trait.empty()) return trait;
    return shared_description(made.description) == shared_description(wanted.description) ? "" : "its description has changed";
}

Result<> check_traits(const Manifest &manifest, const Machine &m, const HostFacts &host, const std::string &snapshot) {
    const std::string differs = differing_trait(manifest.traits, traits_of(m, host));
    if (differs.empty()) return {};
    return fail(0, "restore", snapshot, differs + "; make a new one with runvm snapshot");
}

std::string with_absolute_paths(const std::string &description, const std::string &directory) {
    json whole = json::parse(description, nullptr, false);
    const auto absolute = [&](json &value) {
        if (value.is_string() && !value.get<std::string>().empty())
            value = (fs::path(directory) / value.get<std::string>()).lexically_normal().string();
    };
    for (const auto &key : keys()) {
        if (key.value != "FILE" && key.value != "DIR") continue;
        json::json_pointer place("/" + key.path);
        if (const size_t dot = key.path.find('.'); dot != std::string::npos)
            place = json::json_pointer("/" + key.path.substr(0, dot) + "/" + key.path.substr(dot + 1));
        // A word without a slash may be a program's name or `auto`.
        const bool word = key.path == "qemu.program" || key.path == "debugShell" || key.path == "tpm.program";
        if (whole.contains(place) && (!word || (whole[place].is_string() && whole[place].get<std::string>().contains('/'))))
            absolute(whole[place]);
    }
    for (const auto &[list, field] : {std::pair{"sharedDirectories", "source"}, {"drives", "file"}, {"credentials", "source"}})
        if (whole.contains(list) && whole[list].is_array())
            for (auto &one : whole[list])
                if (one.is_object() && one.contains(field)) absolute(one[field]);
    return whole.dump();
}

}  // namespace hostside
