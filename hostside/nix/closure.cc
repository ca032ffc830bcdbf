#include "hostside/nix/closure.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <format>
#include <memory>
#include <optional>

#include "hostside/nix/order.h"
#include "mounts/base/at.h"
#include "mounts/nix/database.h"

namespace hostside::nixdb {

namespace {

constexpr int schema_version = 10;
constexpr std::string_view store_prefix = "/nix/store/";
constexpr size_t hash_and_dash = 33;

base::Result<> check_schema(const std::string &database) {
    const std::string path = database.substr(0, database.rfind('/') + 1) + "schema";
    const auto text = base::read_file(path, 64);
    if (!text) return std::unexpected(text.error());
    int version = 0;
    (void)std::from_chars(text->data(), text->data() + text->size(), version);  // no number: version 0, which is refused
    if (version == schema_version) return {};
    return base::fail(0, "reginfo", path,
                      std::format("schema {}, and only {} is known here; use `nix-store --dump-db`", version, schema_version));
}

// Opens the database with locks and log if possible. On a read-only file system it opens without them if the log is empty.
base::Result<mounts::Database> open(const std::string &path) {
    using Mode = mounts::Database::Mode;
    const auto usable = [](mounts::Database database) -> base::Result<mounts::Database> {
        auto statement = database.prepare("select 1 from ValidPaths limit 1");
        if (!statement) return std::unexpected(statement.error());
        return database;
    };
    struct stat st{};
    if (::stat(path.c_str(), &st) < 0)
        return base::fail(errno, "open database", path, "is there a Nix store on this host? --database names another");
    auto database = mounts::Database::open(path, Mode::read_only).and_then(usable);
    // If locks are possible, report this failure, because another program may be changing the database.
    const std::string directory = path.substr(0, path.rfind('/') + 1);
    if (database || ::access(directory.empty() ? "." : directory.c_str(), W_OK) == 0) return database;
    for (const char *suffix : {"-wal", "-journal"})
        if (::stat((path + suffix).c_str(), &st) == 0 && st.st_size > 0)
            return base::fail(0, "open database", path,
                              std::string("its ") + (suffix[1] == 'w' ? "write-ahead log" : "journal") +
                                  " cannot be read from here: " + database.error().hint);
    return mounts::Database::open(path, Mode::immutable).and_then(usable);
}

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
        if (!*row) return base::fail(0, "reginfo", path, "not a valid path of this database");
        mounts::PathInfo info;
        info.path = path;
        const auto hash = mounts::parse_hash(path_.text(1));
        if (!hash)
            return base::fail(0, "reginfo", path, std::format("the database has no valid hash of it: '{}'", path_.text(1)));
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
    auto handle = open(database);
    if (!handle) return std::unexpected(handle.error());
    if (auto known = check_schema(database); !known) return std::unexpected(known.error());
    // One snapshot for all queries, even if others commit during them.
    if (auto begun = handle->execute("begin"); !begun) return std::unexpected(begun.error());
    Walk walk(*handle);
    if (auto prepared = walk.prepare(); !prepared) return std::unexpected(prepared.error());
    for (const auto &path : paths)
        if (auto gathered = walk.gather(path); !gathered) return std::unexpected(gathered.error());
    return topological_order(walk.take());
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
