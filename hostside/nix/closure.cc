#include "hostside/nix/closure.h"

#include <cstdlib>
#include <format>
#include <memory>
#include <optional>

#include "hostside/nix/open_database.h"
#include "hostside/nix/order.h"
#include "mounts/nix/database.h"

namespace hostside::nixdb {

namespace {

constexpr std::string_view store_prefix = "/nix/store/";
constexpr size_t hash_and_dash = 33;

class Walk {
  public:
    explicit Walk(mounts::Database &database) : database_(database) {}

    base::Result<> prepare() {
        auto path = database_.prepare("select id, hash, narSize, deriver from ValidPaths where path = ?");
        auto references = database_.prepare(
            "select v.path from Refs r join ValidPaths v on v.id = r.reference where r.referrer = ? order by v.path");
        if (!path || !references) return std::unexpected(path ? references.error() : path.error());
        path_ = std::move(*path);
        references_ = std::move(*references);
        return {};
    }

    // Adds a path and all its direct and indirect references to the map.
    base::Result<> gather(const std::string &root) {
        std::vector<std::string> pending{root};
        while (!pending.empty()) {
            const std::string path = std::move(pending.back());
            pending.pop_back();
            if (found_.contains(path)) continue;
            auto info = query(path);
            if (!info) return std::unexpected(info.error());
            for (const auto &reference : info->references) pending.push_back(reference);
            found_.emplace(path, std::move(*info));
        }
        return {};
    }

    Paths take() { return std::move(found_); }

  private:
    base::Result<mounts::PathInfo> query(const std::string &path) {
        auto row = path_.bind(1, path).step();
        if (!row) return std::unexpected(row.error());
        if (!*row) return base::fail(0, "reginfo", path, "it is not a valid path in this database");
        mounts::PathInfo info;
        info.path = path;
        const auto hash = mounts::parse_hash(path_.text(1));
        if (!hash)
            return base::fail(0, "reginfo", path, std::format("the database has no valid hash for it: '{}'", path_.text(1)));
        info.hash = *hash;
        info.nar_size = static_cast<uint64_t>(path_.integer(2));
        info.deriver = path_.text(3);
        const int64_t id = path_.integer(0);
        path_.reset();
        references_.bind(1, id);
        for (;;) {
            row = references_.step();
            if (!row) return std::unexpected(row.error());
            if (!*row) break;
            info.references.emplace_back(references_.text(0));
        }
        references_.reset();
        return info;
    }

    mounts::Database &database_;
    mounts::Statement path_, references_;
    Paths found_;
};

}  // namespace

base::Result<std::vector<mounts::PathInfo>> closure(const std::string &database, const std::vector<std::string> &paths) {
    auto handle = open_database(database);
    if (!handle) return std::unexpected(handle.error());
    // One snapshot for all queries, even if others commit during them.
    if (auto begun = handle->execute("begin"); !begun) return std::unexpected(begun.error());
    Walk walk(*handle);
    if (auto prepared = walk.prepare(); !prepared) return std::unexpected(prepared.error());
    for (const auto &path : paths)
        if (auto gathered = walk.gather(path); !gathered) return std::unexpected(gathered.error());
    return topological_order(walk.take());
}

base::Result<> check_valid(const std::string &database, const std::vector<std::string> &paths) {
    auto handle = open_database(database);
    if (!handle) return std::unexpected(handle.error());
    auto statement = handle->prepare("select 1 from ValidPaths where path = ?");
    if (!statement) return std::unexpected(statement.error());
    for (const auto &path : paths) {
        const auto row = statement->bind(1, path).step();
        if (!row) return std::unexpected(row.error());
        if (!*row) return base::fail(0, "look for", path, "it is no longer valid in this host's store");
        statement->reset();
    }
    return {};
}

base::Result<std::string> store_path(const std::string &path) {
    std::string full = path;
    if (!path.starts_with(store_prefix)) {
        const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr), &std::free);
        if (!real) return base::fail(errno, "resolve", path);
        full = real.get();
    }
    const size_t slash = full.starts_with(store_prefix) ? full.find('/', store_prefix.size()) : std::string::npos;
    std::string result = full.substr(0, slash);
    if (const auto fault = mounts::store_path_fault(result);
        !fault.empty() || result.size() <= store_prefix.size() + hash_and_dash)
        return base::fail(0, "reginfo", path, std::format("leads to '{}', which is not a store path: {}", full, fault));
    return result;
}

}  // namespace hostside::nixdb
