#include "hostside/build/derivation.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <format>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "hostside/base/bounded_json.h"
#include "mounts/base/at.h"
#include "mounts/base/regular_file.h"
#include "mounts/nix/registration.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;

constexpr std::string_view step = "read derivation";
// Nix's file names in its build directory.
constexpr std::string_view json_name = ".attrs.json", script_name = ".attrs.sh", variables_name = "env-vars";

bool there(const std::string &path) { return ::access(path.c_str(), F_OK) == 0; }

// Reads only a regular file, because the builder may have left anything in its directory.
Result<std::string> text_in(const std::string &path) {
    auto file = base::open_regular(AT_FDCWD, path, O_RDONLY);
    if (!file) return fail(file.error().code, step, path, file.error().hint);
    constexpr size_t limit_bytes = size_t{64} << 20;
    return base::read_all(file->get(), path, limit_bytes);
}

std::vector<std::string> words_in(const std::string &text) {
    std::istringstream stream(text);
    std::vector<std::string> words;
    for (std::string word; stream >> word;) words.push_back(word);
    return words;
}

Result<> add_output(Derivation &derivation, const std::string &name, const std::string &path) {
    constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-._?=";
    if (name.empty() || name.starts_with('.') || name.find_first_not_of(letters) != std::string::npos)
        return fail(0, step, name, "not a valid name for an output");
    if (const auto fault = mounts::store_path_fault(path); !fault.empty())
        return fail(0, step, name, std::format("output at '{}': {}", path, fault));
    derivation.outputs.push_back({name, path});
    return {};
}

Result<> add_json_outputs(Derivation &derivation, const std::string &path) {
    // Attributes come from the expression's author and may be a whole package set.
    constexpr JsonLimits limits{.what = "a derivation", .bytes = size_t{64} << 20, .keys = 1'000'000, .depth = 256};
    auto text = text_in(path);
    if (!text) return std::unexpected(text.error());
    if (auto good = check_json(*text, path, limits); !good) return good;
    const auto json = nlohmann::json::parse(*text);
    const auto outputs = json.is_object() ? json.find("outputs") : json.end();
    if (outputs == json.end() || !outputs->is_object())
        return fail(0, step, path, "it has no object \"outputs\" with their paths, as Nix writes it");
    for (const auto &[name, place] : outputs->items()) {
        if (!place.is_string()) return fail(0, step, path, std::format("the output {} is not a string", name));
        if (auto added = add_output(derivation, name, place.get<std::string>()); !added) return added;
    }
    return {};
}

Result<> add_variable_outputs(Derivation &derivation) {
    const std::string *names = derivation.find("outputs");
    for (const auto &name : words_in(names != nullptr ? *names : "out")) {
        const std::string *path = derivation.find(name);
        if (path == nullptr) return fail(0, step, name, "no variable says where this output is");
        if (auto added = add_output(derivation, name, *path); !added) return added;
    }
    return {};
}

// passAsFile: Nix put the values into files, and the files' paths into variables.
Result<> add_passed_files(Derivation &derivation, const std::string &directory) {
    const std::string *names = derivation.find("passAsFile");
    for (const auto &name : words_in(names != nullptr ? *names : "")) {
        const std::string *path = derivation.find(name + "Path");
        if (path == nullptr) continue;
        const std::string own = path->substr(path->rfind('/') + 1), beside = directory + "/" + own;
        // A kept build is not in its original directory.
        const std::string from = there(beside) ? beside : *path;
        if (!there(from)) return fail(ENOENT, step, from, std::format("passAsFile names it for {}", name));
        derivation.files.push_back({from, own, name + "Path"});
    }
    return {};
}

Result<> add_outputs(Derivation &derivation, const std::string &directory) {
    if (!there(directory + "/" + std::string(json_name))) {
        if (auto added = add_variable_outputs(derivation); !added) return added;
        return add_passed_files(derivation, directory);
    }
    for (const auto &[name, variable] : {std::pair{json_name, "NIX_ATTRS_JSON_FILE"}, {script_name, "NIX_ATTRS_SH_FILE"}}) {
        const std::string from = directory + "/" + std::string(name);
        if (!there(from)) return fail(ENOENT, step, from, "structured attributes need two files, .attrs.json and .attrs.sh");
        derivation.files.push_back({from, std::string(name), variable});
    }
    return add_json_outputs(derivation, directory + "/" + std::string(json_name));
}

}  // namespace

const std::string *Derivation::find(std::string_view name) const {
    const auto found = std::ranges::find(environment, name, &Variables::value_type::first);
    return found == environment.end() ? nullptr : &found->second;
}

Result<Derivation> derivation_in(const std::string &directory) {
    Derivation derivation;
    const std::string file = directory + "/" + std::string(variables_name);
    const bool structured = there(directory + "/" + std::string(json_name));
    if (there(file) || !structured) {
        auto text = text_in(file);
        if (!text)
            return fail(text.error().code, step, file,
                        "a derivation's directory must have env-vars, or .attrs.json and .attrs.sh");
        auto variables = variables_in(*text, file);
        if (!variables) return std::unexpected(variables.error());
        derivation.environment = std::move(*variables);
    }
    if (auto added = add_outputs(derivation, directory); !added) return std::unexpected(added.error());
    return derivation;
}

Result<Derivation> derivation_of(char **environment) {
    std::string text;
    for (; *environment != nullptr; ++environment) (text += *environment) += '\0';
    auto variables = variables_in(text, "environment");
    if (!variables) return std::unexpected(variables.error());
    Derivation derivation{.environment = std::move(*variables)};
    const std::string *top = derivation.find("NIX_BUILD_TOP");
    if (top == nullptr)
        return fail(0, step, "",
                    "no derivation is named, and this is not a Nix build, because NIX_BUILD_TOP is not set; pass --derivation "
                    "DIR, a directory with env-vars or .attrs.json");
    // With structured attributes, Nix names the files. Nix 2.8's path does not exist in its own sandbox.
    const std::string *json = derivation.find("NIX_ATTRS_JSON_FILE");
    const std::string directory = json != nullptr && there(*json) ? json->substr(0, json->rfind('/')) : *top;
    if (auto added = add_outputs(derivation, directory); !added) return std::unexpected(added.error());
    return derivation;
}

std::vector<std::string> builder_environment(const Derivation &derivation, const std::string &place, int cores) {
    std::map<std::string, std::string> all = {{"PATH", "/path-not-set"},   {"HOME", "/homeless-shelter"},
                                              {"NIX_STORE", "/nix/store"}, {"NIX_BUILD_CORES", std::to_string(cores)},
                                              {"NIX_LOG_FD", "2"},         {"TERM", "xterm-256color"}};
    for (const auto &[name, value] : derivation.environment) all[name] = value;
    for (const char *shells : {"_", "SHLVL", "OLDPWD", "USE_TMPDIR"}) all.erase(shells);
    for (const char *own : {"NIX_BUILD_TOP", "TMPDIR", "TEMPDIR", "TMP", "TEMP", "PWD"}) all[own] = place;
    for (const auto &file : derivation.files) all[file.variable] = place + "/" + file.name;
    std::vector<std::string> environment;
    for (const auto &[name, value] : all) environment.push_back(name + "=" + value);
    return environment;
}

std::vector<std::string> store_paths_in(const Derivation &derivation, const std::vector<std::string> &builder) {
    std::set<std::string> paths;
    const auto look = [&](std::string_view text) {
        constexpr std::string_view prefix = "/nix/store/";
        constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-._?=";
        for (size_t at = text.find(prefix); at != std::string_view::npos; at = text.find(prefix, at + 1))
            if (const auto path =
                    text.substr(at, std::min(text.find_first_not_of(letters, at + prefix.size()), text.size()) - at);
                mounts::store_path_fault(path).empty())
                paths.insert(std::string(path));
    };
    for (const auto &[name, value] : derivation.environment) look(value);
    for (const auto &word : builder) look(word);
    for (const auto &file : derivation.files)
        if (const auto text = text_in(file.from)) look(*text);
    for (const auto &output : derivation.outputs) paths.erase(output.path);
    return {paths.begin(), paths.end()};
}

}  // namespace hostside
