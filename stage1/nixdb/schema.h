// The files of a Nix database as Nix 2.3 and later leave them: schema version 10 in db.sqlite, and beside it `schema`,
// `big-lock` and `reserved`. Names and sizes: Nix's libstore, local-store.cc.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"

namespace stage1::nixdb {

inline constexpr int schema_version = 10;
inline constexpr std::string_view database_dir = "/nix/var/nix/db";

// Tables first; the indexes later, for they are built faster over what is there than row by row.
extern const char *const create_tables;
extern const char *const create_indexes;

// The database's folder, made when absent, resolved within the target root: a path that SQLite can open.
base::Result<std::string> open_directory(const std::string &target_root);

// What the `schema` file says; absent when there is none. A file that holds no number is an error.
base::Result<std::optional<int>> read_schema(const std::string &directory);

// Holds `big-lock` (made when absent) as Nix does: shared to work in a database, exclusive to make one. EWOULDBLOCK:
// a Nix is at work.
base::Result<base::Fd> lock(const std::string &directory, bool exclusive);

// `reserved` (space that a full disk's garbage collection lives from) and `schema`, where they are missing.
base::Result<> finish_files(const std::string &directory);

// fsync(2) of a file or folder.
base::Result<> sync(const std::string &path);

}  // namespace stage1::nixdb
