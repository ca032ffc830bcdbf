#include "hostside/store/contents.h"

#include <unistd.h>

#include <algorithm>
#include <format>
#include <set>

#include "hostside/nix/closure.h"
#include "mounts/base/at.h"
#include "mounts/nix/registration.h"
#include "mounts/nix/sha256.h"
#include "mounts/protocol.h"

namespace hostside {

namespace {

using base::fail;
using base::Result;
using Infos = std::vector<mounts::PathInfo>;

constexpr std::string_view prefix = "/nix/store/";

// Finds every store path in a text, the way Nix finds references in a file.
void add_paths_in(const std::string &text, std::set<std::string> &roots) {
    constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-._?=";
    for (size_t at = text.find(prefix); at != std::string::npos; at = text.find(prefix, at + 1))
        if (auto path = text.substr(at, std::min(text.find_first_not_of(letters, at + prefix.size()), text.size()) - at);
            mounts::store_path_fault(path).empty())
            roots.insert(std::move(path));
}

Result<std::set<std::string>> roots_of(const Machine &m) {
    std::set<std::string> roots;
    if (m.toplevel.empty()) return fail(0, "find closure", m.store, "there is no toplevel; name one with --toplevel");
    std::vector<std::string> named = m.paths_in_nix_db;
    named.push_back(m.toplevel);
    for (const auto &name : named) {
        auto path = nixdb::store_path(name);
        if (!path) return std::unexpected(path.error());
        roots.insert(std::move(*path));
    }
    add_paths_in(m.init, roots);
    add_paths_in(m.reginfo, roots);
    for (const auto &word : m.kernel_params) add_paths_in(word, roots);
    return roots;
}

// A Nix build has no database, but a closureInfo among its inputs.
Result<Infos> registered(const Machine &m, const std::set<std::string> &roots) {
    const std::string path = m.store + "/" + m.reginfo.substr(prefix.size());
    auto text = base::read_file(path);
    if (!text) return std::unexpected(text.error());
    mounts::RegistrationReader reader(std::string_view(*text), path);
    Infos infos;
    for (mounts::PathInfo info;;) {
        auto more = reader.next(info);
        if (!more) return std::unexpected(more.error());
        if (!*more) break;
        infos.push_back(info);
    }
    // A registration does not contain itself.
    for (const auto &root : roots)
        if (m.reginfo.starts_with(root) && std::ranges::find(infos, root, &mounts::PathInfo::path) == infos.end())
            infos.push_back({.path = root});
    for (const auto &root : roots)
        if (std::ranges::find(infos, root, &mounts::PathInfo::path) == infos.end())
            return fail(0, "find closure", root, std::format("the registration {} does not list it", path));
    return infos;
}

// /nix/store and /nix/var are siblings, in any root.
std::string database_beside(const std::string &store) { return store.substr(0, store.rfind('/')) + "/var/nix/db/db.sqlite"; }

Result<Infos> closure_of(const Machine &m, const std::set<std::string> &roots, bool &from_database) {
    auto infos = nixdb::closure(database_beside(m.store), {roots.begin(), roots.end()});
    from_database = infos.has_value();
    if (infos || !m.reginfo.starts_with(prefix)) return infos;
    auto from_text = registered(m, roots);
    return from_text ? std::move(from_text) : std::move(infos);
}

}  // namespace

Result<StoreContents> store_contents(const Machine &m) {
    auto roots = roots_of(m);
    if (!roots) return std::unexpected(roots.error());
    StoreContents contents{.roots = {roots->begin(), roots->end()}};
    auto infos = closure_of(m, *roots, contents.from_database);
    if (!infos) return std::unexpected(infos.error());
    std::ranges::sort(*infos, {}, &mounts::PathInfo::path);
    mounts::Sha256Stream hash;
    for (const auto &info : *infos) {
        // Each is mounted by name, so a database must not lead out of the store.
        if (const auto fault = mounts::store_path_fault(info.path); !fault.empty())
            return fail(0, "find closure", info.path, std::string(fault));
        contents.names.push_back(info.path.substr(prefix.size()));
        contents.nar_bytes += info.nar_size;
        // A registration, which does not contain itself, is small.
        if (info.nar_size == 0 && !m.reginfo.starts_with(info.path)) contents.size_known = false;
        hash.add(info.path);
        hash.add({reinterpret_cast<const char *>(info.hash.data()), info.hash.size()});
    }
    for (const unsigned char byte : hash.finish()) contents.hash += std::format("{:02x}", byte);
    return contents;
}

Result<> check_still_there(const Machine &m, const StoreContents &contents) {
    const std::string database = database_beside(m.store);
    if (!contents.from_database || ::access(database.c_str(), F_OK) < 0) return {};
    auto valid = nixdb::check_valid(database, contents.roots);
    if (!valid)
        valid.error().hint += "; the host's garbage collector deleted it while the machine was starting: build the system again";
    return valid;
}

}  // namespace hostside
