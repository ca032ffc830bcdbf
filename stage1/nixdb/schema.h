// The files of a Nix database as Nix 2.3 and later write them: db.sqlite with schema version 10, and next to it `schema`,
// `big-lock` and `reserved`. Names and sizes are from Nix's libstore, local-store.cc.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "mounts/base/error.h"
#include "mounts/base/fd.h"
#include "mounts/nix/nix_hash.h"

namespace stage1::nixdb {

inline constexpr int schema_version = 10;
inline constexpr std::string_view database_dir = "/nix/var/nix/db";

struct SchemaObject {
    std::string_view type, name, table, sql;
};

// In the order in which Nix creates them. SQLite stores these texts, which are identical to `.schema` of Nix's own database.
inline constexpr SchemaObject schema_objects[] = {
    {"table", "ValidPaths", "ValidPaths",
     "CREATE TABLE ValidPaths (\n"
     "    id               integer primary key autoincrement not null,\n"
     "    path             text unique not null,\n"
     "    hash             text not null,\n"
     "    registrationTime integer not null,\n"
     "    deriver          text,\n"
     "    narSize          integer,\n"
     "    ultimate         integer,\n"
     "    sigs             text,\n"
     "    ca               text\n"
     ")"},
    {"index", "sqlite_autoindex_ValidPaths_1", "ValidPaths", ""},
    {"table", "sqlite_sequence", "sqlite_sequence", "CREATE TABLE sqlite_sequence(name,seq)"},
    {"table", "Refs", "Refs",
     "CREATE TABLE Refs (\n"
     "    referrer  integer not null,\n"
     "    reference integer not null,\n"
     "    primary key (referrer, reference),\n"
     "    foreign key (referrer) references ValidPaths(id) on delete cascade,\n"
     "    foreign key (reference) references ValidPaths(id) on delete restrict\n"
     ")"},
    {"index", "sqlite_autoindex_Refs_1", "Refs", ""},
    {"index", "IndexReferrer", "Refs", "CREATE INDEX IndexReferrer on Refs(referrer)"},
    {"index", "IndexReference", "Refs", "CREATE INDEX IndexReference on Refs(reference)"},
    {"trigger", "DeleteSelfRefs", "ValidPaths",
     "CREATE TRIGGER DeleteSelfRefs before delete on ValidPaths\n"
     "  begin\n"
     "    delete from Refs where referrer = old.id and reference = old.id;\n"
     "  end"},
    {"table", "DerivationOutputs", "DerivationOutputs",
     "CREATE TABLE DerivationOutputs (\n"
     "    drv  integer not null,\n"
     "    id   text not null,\n"
     "    path text not null,\n"
     "    primary key (drv, id),\n"
     "    foreign key (drv) references ValidPaths(id) on delete cascade\n"
     ")"},
    {"index", "sqlite_autoindex_DerivationOutputs_1", "DerivationOutputs", ""},
    {"index", "IndexDerivationOutputs", "DerivationOutputs", "CREATE INDEX IndexDerivationOutputs on DerivationOutputs(path)"},
    {"table", "SchemaMigrations", "SchemaMigrations", "CREATE TABLE SchemaMigrations (migration text primary key not null)"},
    {"index", "sqlite_autoindex_SchemaMigrations_1", "SchemaMigrations", ""},
};

// In the format of the column `hash`.
std::string database_hash(const mounts::Sha256 &hash);

// Opens the database's directory, or creates it, within the target root. Returns a path that SQLite can open.
base::Result<std::string> open_directory(int root);

// Checks that each of the database's files is regular or absent; the Error names one that is not. No other process is at work
// here, and files that are opened later are checked again.
base::Result<> refuse_strangers(const std::string &directory);

// The content of the `schema` file; absent if it does not exist. Error: it holds no number.
base::Result<std::optional<int>> read_schema(const std::string &directory);

// Locks `big-lock` (created if absent) as Nix does: shared to work in a database, exclusive to create one. EWOULDBLOCK: Nix is
// at work.
base::Result<base::Fd> lock(const std::string &directory, bool exclusive);

// Creates missing files: `reserved` (space for garbage collection on a full disk) and `schema`.
base::Result<> finish_files(const std::string &directory);

}  // namespace stage1::nixdb
