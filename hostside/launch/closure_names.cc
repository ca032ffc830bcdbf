#include "hostside/launch/closure_names.h"

#include <algorithm>
#include <filesystem>
#include <format>
#include <vector>

#include "hostside/boot/boot_files.h"
#include "hostside/nix/closure.h"
#include "mounts/base/at.h"
#include "mounts/path_trace.h"

namespace hostside {

namespace {

constexpr size_t registration_limit_bytes = size_t{256} << 20;

std::string name_of(const std::string &path) { return path.substr(path.rfind('/') + 1) + "\n"; }

std::string names_in_registration(const std::string &path) {
    const auto text = base::read_file(path, registration_limit_bytes);
    std::string names;
    if (!text) return names;
    mounts::RegistrationReader reader(*text, path);
    mounts::PathInfo info;
    for (;;) {
        const auto more = reader.next(info);
        if (!more || !*more) return names;
        names += name_of(info.path);
    }
}

std::string names_in_database(const Machine &m) {
    std::vector<std::string> roots;
    for (const auto &root : m.paths_in_nix_db)
        if (auto path = nixdb::store_path(root)) roots.push_back(std::move(*path));
    if (auto path = nixdb::store_path(m.toplevel)) roots.push_back(std::move(*path));
    const auto infos = nixdb::closure(std::filesystem::path(m.store).parent_path() / "var/nix/db/db.sqlite", roots);
    std::string names;
    if (infos)
        for (const auto &info : *infos) names += name_of(info.path);
    return names;
}

}  // namespace

bool traces_paths(const Machine &machine) {
    const std::string word = std::format("{}=paths", mounts::protocol::union_trace_parameter);
    return std::ranges::any_of(machine.kernel_params, [&](const std::string &said) { return said.contains(word); });
}

std::string closure_names_of(const Machine &machine) {
    std::string names;
    if (!machine.reginfo.empty()) names = names_in_registration(in_store(machine.store, machine.reginfo));
    return names.empty() ? names_in_database(machine) : names;
}

}  // namespace hostside
