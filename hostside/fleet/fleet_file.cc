#include "hostside/fleet/fleet_file.h"

#include <fcntl.h>

#include <algorithm>
#include <filesystem>
#include <format>
#include <set>

#include "hostside/base/cache.h"
#include "hostside/base/nearest.h"
#include "hostside/base/printable.h"
#include "hostside/description/description.h"
#include "hostside/description/parse.h"
#include "hostside/description/qemu_words.h"
#include "hostside/fleet/fleet_place.h"
#include "hostside/fleet/results.h"
#include "hostside/snapshot/place.h"
#include "hostside/snapshot/savable.h"
#include "mounts/base/at.h"
#include "mounts/base/json_text.h"
#include "mounts/base/regular_file.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;
namespace fs = std::filesystem;

constexpr size_t most_nodes = 4096, longest_name = 48;
constexpr long long most_copies = 1000, most_nodes_of_vlan = 254;

Result<std::string> text_in(const std::string &path) {
    auto file = base::open_regular(AT_FDCWD, fs::weakly_canonical(path).string(), O_RDONLY);
    if (!file) return fail(file.error().code, "read", path, file.error().hint);
    return base::read_all(file->get(), path, description_limit_bytes);
}

class Reader {
  public:
    Reader(const std::string &path, const std::function<std::string(const std::string &)> &directory_of)
        : path_(path), directory_of_(directory_of) {}

    Result<Fleet> read() {
        auto text = text_in(path_);
        if (!text) return std::unexpected(text.error());
        auto json = parse(*text, path_, of_a_fleet);
        if (!json) return std::unexpected(json.error());
        if (auto known = only(*json, "", {"name", "defaults", "fork", "nodes"}); !known) return std::unexpected(known.error());
        Fleet fleet{.name = fleet_name(path_), .nodes = {}};
        if (auto name = text_of(*json, "", "name", fleet.name); !name) return std::unexpected(name.error());
        if (auto fork = bool_of(*json, "", "fork", all_fork_); !fork) return std::unexpected(fork.error());
        auto defaults = description_of(*json, "", "defaults");
        if (!defaults) return std::unexpected(defaults.error());
        if (*defaults) defaults_ = std::move(**defaults);
        if (!json->contains("nodes") || !(*json)["nodes"].is_object() || (*json)["nodes"].empty())
            return wrong("/nodes", "an object with a machine for each key");
        for (const auto &[name, node] : (*json)["nodes"].items())
            if (auto added = add(fleet, name, node); !added) return std::unexpected(added.error());
        return fleet;
    }

  private:
    [[nodiscard]] std::unexpected<base::Error> wrong(const std::string &pointer, std::string_view expected) const {
        return fail(0, path_, pointer, std::format("must be {}", expected));
    }

    Result<> only(const Json &object, const std::string &pointer, const std::vector<std::string_view> &keys) const {
        if (!object.is_object()) return wrong(pointer, "an object");
        for (const auto &[key, value] : object.items()) {
            if (std::ranges::find(keys, key) != keys.end()) continue;
            const auto nearest = std::ranges::min_element(keys, {}, [&](auto known) { return letters_apart(key, known); });
            std::string all;
            for (const auto known : keys) all.append(all.empty() ? "" : ", ").append(known);
            return fail(0, path_, pointer + "/" + pointer_token(key),
                        letters_apart(key, *nearest) <= 2 ? std::format("no such key; did you mean {}?", *nearest)
                                                          : std::format("no such key; the keys are {}", all));
        }
        return {};
    }

    Result<> text_of(const Json &object, const std::string &pointer, const char *key, std::string &text) const {
        if (!object.contains(key)) return {};
        if (!object[key].is_string() || object[key].get_ref<const std::string &>().contains('\0'))
            return wrong(pointer + "/" + key, "a string");
        text = object[key].get<std::string>();
        return {};
    }

    Result<> bool_of(const Json &object, const std::string &pointer, const char *key, bool &value) const {
        if (!object.contains(key)) return {};
        if (!object[key].is_boolean()) return wrong(pointer + "/" + key, "true or false");
        value = object[key].get<bool>();
        return {};
    }

    // An object, or the path of a file with one, relative to the fleet's file.
    Result<std::optional<Layer>> description_of(const Json &object, const std::string &pointer, const char *key) const {
        if (!object.contains(key)) return std::nullopt;
        const std::string here = pointer + "/" + key;
        if (object[key].is_object()) return Layer{path_ + " " + here, object[key].dump(), false};
        std::string file;
        if (!object[key].is_string()) return wrong(here, "a description, or the path of a file with one");
        if (auto text = text_of(object, pointer, key, file); !text) return std::unexpected(text.error());
        file = (fs::path(path_).parent_path() / file).string();
        return text_in(file).transform([&](const std::string &text) { return std::optional(Layer{file, text, false}); });
    }

    Result<> command_of(const Json &object, const std::string &pointer, Node &node) const {
        std::string script;
        if (auto text = text_of(object, pointer, "script", script); !text) return text;
        if (!script.empty()) node.command = {"sh", "-ec", script};
        if (!object.contains("command")) return {};
        const Json &list = object["command"];
        const std::string here = pointer + "/command";
        if (!script.empty()) return fail(0, path_, here, "a machine has a command or a script, not both");
        if (!list.is_array() || list.empty()) return wrong(here, "a list of words, such as [\"uname\", \"-a\"]");
        for (const auto &word : list) {
            if (!word.is_string() || word.get_ref<const std::string &>().contains('\0'))
                return wrong(here, "a list of words, such as [\"uname\", \"-a\"]");
            node.command.push_back(word.get<std::string>());
        }
        return {};
    }

    // Merges the description's layers into the node.
    Result<> describe_node(Node &node, std::vector<Layer> layers, const Json &object, const std::string &pointer) {
        for (const char *key : {"vlans", "timeout"})
            if (object.contains(key))
                layers.push_back({path_ + " " + pointer, Json{{key, object[key]}}.dump(), object[key].is_array()});
        layers.push_back({path_, std::format(R"({{"name":{}}})", base::json_text(node.name)), false});
        auto machine = machine_from(layers);
        if (!machine) return std::unexpected(machine.error());
        auto text = describe_json(layers);
        if (!text) return std::unexpected(text.error());
        take_qemu_words(*machine);
        node.description = std::move(*text);
        node.memory_mib = machine->memory_mib;
        node.cores = machine->cores;
        node.vlans = machine->vlans;
        for (const auto &card : machine->interfaces) node.vlans.push_back(card.vlan);
        return {};
    }

    // What a machine is before its own description: the defaults, or in place of them what its snapshot was made from, which
    // must stay the same.
    Result<Layer> first_layer(Node &node) const {
        if (node.from.empty()) return defaults_;
        node.from = fs::absolute(fs::path(path_).parent_path() / node.from).lexically_normal();
        return open_snapshot(node.from).transform([&](Snapshot snapshot) {
            return Layer{snapshot.file(snapshot_manifest), std::move(snapshot.manifest.description), false};
        });
    }

    // Machines that differ only in what each fork has for itself have one snapshot.
    Result<> be_fork(Node &node, const std::string &pointer) const {
        auto machine = machine_from({{path_ + " " + pointer, node.description, false}});
        if (!machine) return std::unexpected(machine.error());
        machine->store_kind = saved_store_kind(*machine);
        if (const auto can = can_be_saved(*machine); !can) return fail(0, path_, pointer + "/fork", base::message(can.error()));
        node.fork = short_hash(shared_description(node.description) + (node.after ? " after " + *node.after : ""));
        return {};
    }

    // Defaults: an own disk and a unique number.
    [[nodiscard]] Layer place_of(const std::string &name) {
        const long long number = 1 + static_cast<long long>(next_number_++) % most_nodes_of_vlan;
        const std::string directory = directory_of_(name);
        if (directory.empty()) return {"runvm fleet", std::format(R"({{"nodeNumber":{}}})", number), false};
        return {"runvm fleet",
                std::format(R"({{"diskImage":{},"nodeNumber":{}}})", base::json_text(directory + "/disk.qcow2"), number), false};
    }

    Result<> add(Fleet &fleet, const std::string &key, const Json &object) {
        const std::string pointer = "/nodes/" + pointer_token(key);
        if (auto known = only(object, pointer,
                              {"description", "system", "from", "fork", "vlans", "timeout", "command", "script", "after", "user",
                               "service", "copies"});
            !known)
            return known;
        Node node;
        std::string system, after;
        for (auto &read : {text_of(object, pointer, "system", system), text_of(object, pointer, "after", after),
                           text_of(object, pointer, "from", node.from), text_of(object, pointer, "user", node.user),
                           bool_of(object, pointer, "service", node.service), command_of(object, pointer, node)})
            if (!read) return std::unexpected(read.error());
        if (object.contains("after")) node.after = after;
        bool fork = all_fork_ && node.from.empty();
        if (auto read = bool_of(object, pointer, "fork", fork); !read) return read;
        if (fork && !node.from.empty())
            return fail(0, path_, pointer + "/fork", "its snapshot is there already (from); leave one of the two out");
        if (!fork && node.command.empty() && (node.after || !node.user.empty()))
            return fail(0, path_, pointer, "after and user need a command or a script, and this machine has neither");
        if (node.service && !node.command.empty())
            return fail(0, path_, pointer + "/service",
                        "a service has no command of its own; it runs for the commands of the others");
        if (!node.from.empty() && !system.empty())
            return fail(0, path_, pointer + "/system", "a restored machine has the system of its snapshot (from)");
        auto description = description_of(object, pointer, "description");
        if (!description) return std::unexpected(description.error());
        auto first = first_layer(node);
        if (!first) return std::unexpected(first.error());
        long long copies = 1;
        if (object.contains("copies")) {
            if (!object["copies"].is_number_integer()) return wrong(pointer + "/copies", "a whole number");
            copies = object["copies"].get<long long>();
            if (copies < 1 || copies > most_copies) return wrong(pointer + "/copies", std::format("from 1 to {}", most_copies));
        }
        for (long long copy = 1; copy <= copies; ++copy) {
            node.name = copies == 1 ? key : std::format("{}-{}", key, copy);
            if (auto ok = check_name(fleet, pointer, node.name); !ok) return ok;
            std::vector<Layer> layers{place_of(node.name)};
            if (!node.from.empty()) layers.insert(layers.begin(), *first);
            if (node.from.empty() && !first->json.empty()) layers.push_back(*first);
            if (*description) layers.push_back(**description);
            if (!system.empty())
                layers.push_back({path_ + " " + pointer, std::format(R"({{"toplevel":{}}})", base::json_text(system)), false});
            if (auto described = describe_node(node, std::move(layers), object, pointer); !described) return described;
            if (auto done = fork ? be_fork(node, pointer) : Result<>(); !done) return done;
            fleet.nodes.push_back(node);
        }
        return {};
    }

    // The name is used for a directory, a process and a socket, whose path has at most 107 bytes.
    Result<> check_name(const Fleet &fleet, const std::string &pointer, const std::string &name) const {
        const bool plain =
            std::ranges::all_of(name, [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_'; });
        if (name.empty() || name.size() > longest_name || !plain || name.starts_with('-'))
            return fail(0, path_, pointer,
                        std::format("a machine's name has letters, digits, '-' and '_', at most {} characters", longest_name));
        if (name == groups_name || name == slurm_job_file)
            return fail(0, path_, pointer, "the results' directory has a place of this name; choose another");
        if (std::ranges::any_of(fleet.nodes, [&](const Node &other) { return other.name == name; }))
            return fail(0, path_, pointer, std::format("two machines would be called {}", name));
        if (fleet.nodes.size() == most_nodes)
            return fail(0, path_, pointer, std::format("a fleet has at most {} machines", most_nodes));
        return {};
    }

    const std::string &path_;
    const std::function<std::string(const std::string &)> &directory_of_;
    Layer defaults_;
    bool all_fork_ = false;
    size_t next_number_ = 0;
};

}  // namespace

std::string fleet_name(const std::string &path) { return printable(fs::path(path).stem().string()); }

Result<Fleet> read_fleet(const std::string &path, const std::function<std::string(const std::string &machine)> &directory_of) {
    auto fleet = Reader(path, directory_of).read();
    if (!fleet) return fleet;
    const auto needed = [](const Node &node) { return !node.service; };
    if (std::ranges::none_of(fleet->nodes, needed))
        return fail(0, path, "/nodes", "all machines are services, which run for others; at least one must end by itself");
    return fleet;
}

}  // namespace hostside
