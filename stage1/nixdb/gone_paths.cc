#include "stage1/nixdb/gone_paths.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <format>

#include "mounts/base/at.h"
#include "mounts/nix/database.h"
#include "stage1/nixdb/reconcile.h"
#include "stage1/nixdb/schema.h"
#include "stage1/nixdb/store_layers.h"

namespace stage1::nixdb {

namespace {

using base::Result;
using Paths = std::vector<std::string>;

// Empty if an interrupted run left a file without tables.
Result<std::vector<int64_t>> rows_of(mounts::Database &database) {
    std::vector<int64_t> rows;
    auto there = database.prepare("select 1 from sqlite_master where name = 'ValidPaths'");
    if (!there) return std::unexpected(there.error());
    if (const auto row = there->step(); !row || !*row)
        return row ? Result<std::vector<int64_t>>(rows) : std::unexpected(row.error());
    auto ids = database.prepare("select id from ValidPaths");
    if (!ids) return std::unexpected(ids.error());
    for (;;) {
        const auto row = ids->step();
        if (!row) return std::unexpected(row.error());
        if (!*row) return rows;
        rows.push_back(ids->integer(0));
    }
}

Result<Paths> drop(mounts::Database &database, int store) {
    if (auto begun = database.execute("pragma locking_mode = exclusive; begin immediate;"); !begun)
        return std::unexpected(begun.error());
    const auto none = [](std::string_view) { return false; };
    auto dropped = rows_of(database).and_then(
        [&](const std::vector<int64_t> &rows) { return reconcile(database, none, rows, store, StoreLayers{}, false); });
    if (!dropped) return dropped;
    if (auto done = database.execute("commit"); !done) return std::unexpected(done.error());
    return dropped;
}

}  // namespace

Result<Paths> drop_gone_paths(int root, int store) {
    // Check first, because opening would create the directory.
    const auto there = base::open_in_root(root, std::string(database_dir) + "/db.sqlite", O_PATH);
    if (!there && there.error().code == ENOENT) return Paths{};
    if (!there) return std::unexpected(there.error());
    const auto directory = open_directory(root);
    if (!directory) return std::unexpected(directory.error());
    if (auto own = refuse_strangers(*directory); !own) return std::unexpected(own.error());
    const auto version = read_schema(*directory);
    if (!version) return std::unexpected(version.error());
    if (version->value_or(schema_version) != schema_version)
        return base::fail(0, "roll back", *directory,
                          std::format("schema {} is not {}: nix-store --verify drops what is gone", **version, schema_version));
    const auto held = lock(*directory, false);
    if (!held) return std::unexpected(held.error());
    auto database = mounts::Database::open(*directory + "/db.sqlite", mounts::Database::Mode::create);
    if (!database) return std::unexpected(database.error());
    auto dropped = drop(*database, store);
    if (auto closed = database->close(); dropped && !closed) return std::unexpected(closed.error());
    return dropped;
}

}  // namespace stage1::nixdb
