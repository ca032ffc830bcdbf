#include "stage1/nixdb/reconcile.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <format>
#include <map>

namespace stage1::nixdb {

namespace {

constexpr std::string_view store_prefix = "/nix/store/";

bool gone(int store, std::string_view path) {
    if (!path.starts_with(store_prefix)) return false;
    const std::string name(path.substr(store_prefix.size()));
    struct stat st{};
    return ::fstatat(store, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
}

// Adds to `drop` whatever refers to a path in it, near and far.
base::Result<> add_referrers(mounts::Database &database, const Loader &loader, std::map<int64_t, std::string> &drop) {
    auto referrers =
        database.prepare("select v.id, v.path from Refs r join ValidPaths v on v.id = r.referrer where r.reference = ?");
    if (!referrers) return std::unexpected(referrers.error());
    std::vector<int64_t> pending;
    for (const auto &[id, path] : drop) pending.push_back(id);
    while (!pending.empty()) {
        referrers->bind(1, pending.back());
        pending.pop_back();
        for (;;) {
            auto row = referrers->step();
            if (!row) return std::unexpected(row.error());
            if (!*row) break;
            const int64_t id = referrers->integer(0);
            if (!loader.registered(id) && drop.emplace(id, referrers->text(1)).second) pending.push_back(id);
        }
        referrers->reset();
    }
    return {};
}

}  // namespace

base::Result<std::vector<std::string>> reconcile(mounts::Database &database, const Loader &loader, int store, bool strict) {
    std::map<int64_t, std::string> drop;
    {
        auto rows = database.prepare("select id, path from ValidPaths");
        if (!rows) return std::unexpected(rows.error());
        for (;;) {
            auto row = rows->step();
            if (!row) return std::unexpected(row.error());
            if (!*row) break;
            if (!loader.registered(rows->integer(0)) && gone(store, rows->text(1))) drop.emplace(rows->integer(0), rows->text(1));
        }
    }
    if (drop.empty()) return std::vector<std::string>{};
    if (strict)
        return base::fail(
            0, "register", drop.begin()->second,
            std::format("{} paths of the database are gone from the store, this is the first; stage1.register=auto drops them",
                        drop.size()));
    if (auto added = add_referrers(database, loader, drop); !added) return std::unexpected(added.error());
    auto references = database.prepare("delete from Refs where reference = ?");
    auto path = database.prepare("delete from ValidPaths where id = ?");
    if (!references || !path) return std::unexpected(references ? path.error() : references.error());
    // All references to them first: the tables forbid a path to go that another refers to.
    for (const auto &[id, name] : drop)
        if (auto done = references->bind(1, id).run(); !done) return std::unexpected(done.error());
    std::vector<std::string> dropped;
    for (const auto &[id, name] : drop) {
        if (auto done = path->bind(1, id).run(); !done) return std::unexpected(done.error());
        dropped.push_back(name);
    }
    return dropped;
}

}  // namespace stage1::nixdb
