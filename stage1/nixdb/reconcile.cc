#include "stage1/nixdb/reconcile.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <map>

#include "mounts/nix/registration.h"

namespace stage1::nixdb {

namespace {

using Rows = std::map<int64_t, std::string>;  // id → path

bool gone(int store, const StoreLayers &layers, std::string_view path) {
    if (!path.starts_with(mounts::store_prefix)) return false;
    const std::string name(path.substr(mounts::store_prefix.size()));
    struct stat st{};
    if (::fstatat(store, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) < 0) return errno == ENOENT;
    return layers.has_only_changes(name);
}

base::Result<Rows> find_gone(mounts::Database &database, const std::vector<int64_t> &others, int store,
                             const StoreLayers &layers) {
    Rows rows;
    auto path = database.prepare("select path from ValidPaths where id = ?");
    if (!path) return std::unexpected(path.error());
    for (const int64_t id : others) {
        const auto row = path->bind(1, id).step();
        if (!row) return std::unexpected(row.error());
        if (*row && gone(store, layers, path->text(0))) rows.emplace(id, path->text(0));
        path->reset();
    }
    return rows;
}

// Adds to `drop` whatever refers to a path in it, near and far.
base::Result<> add_referrers(mounts::Database &database, const std::function<bool(std::string_view)> &registered, Rows &drop) {
    auto referrers =
        database.prepare("select v.id, v.path from Refs r join ValidPaths v on v.id = r.referrer where r.reference = ?");
    if (!referrers) return std::unexpected(referrers.error());
    std::vector<int64_t> pending;
    for (const auto &[id, path] : drop) pending.push_back(id);
    while (!pending.empty()) {
        referrers->bind(1, pending.back());
        pending.pop_back();
        for (;;) {
            const auto row = referrers->step();
            if (!row) return std::unexpected(row.error());
            if (!*row) break;
            const int64_t id = referrers->integer(0);
            if (!registered(referrers->text(1)) && drop.emplace(id, referrers->text(1)).second) pending.push_back(id);
        }
        referrers->reset();
    }
    return {};
}

}  // namespace

base::Result<std::vector<std::string>> reconcile(mounts::Database &database,
                                                 const std::function<bool(std::string_view)> &registered,
                                                 const std::vector<int64_t> &others, int store, const StoreLayers &layers,
                                                 bool strict) {
    auto drop = find_gone(database, others, store, layers);
    if (!drop) return std::unexpected(drop.error());
    std::vector<std::string> dropped;
    if (drop->empty()) return dropped;
    if (strict)
        return base::fail(
            0, "register", drop->begin()->second,
            std::to_string(drop->size()) +
                " paths of the database are gone from the store, this is the first; stage1.register=auto drops them");
    if (auto added = add_referrers(database, registered, *drop); !added) return std::unexpected(added.error());
    // What hangs on a path goes before it: foreign keys are not enforced on this connection, as they slow down a load.
    for (const char *sql : {"delete from Refs where reference = ?", "delete from Refs where referrer = ?",
                            "delete from DerivationOutputs where drv = ?", "delete from ValidPaths where id = ?"}) {
        auto statement = database.prepare(sql);
        if (!statement) return std::unexpected(statement.error());
        for (const auto &[id, path] : *drop)
            if (auto done = statement->bind(1, id).run(); !done) return std::unexpected(done.error());
    }
    for (auto &[id, path] : *drop) dropped.push_back(std::move(path));
    return dropped;
}

}  // namespace stage1::nixdb
