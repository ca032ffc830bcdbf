#include "hostside/nix/open_database.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <format>

#include "mounts/base/at.h"

namespace hostside::nixdb {

namespace {

constexpr int schema_version = 10;

base::Result<> check_schema(const std::string &database) {
    const std::string path = database.substr(0, database.rfind('/') + 1) + "schema";
    const auto text = base::read_file(path, 64);
    if (!text) return std::unexpected(text.error());
    int version = 0;
    (void)std::from_chars(text->data(), text->data() + text->size(), version);  // no number: version 0, which is refused
    if (version == schema_version) return {};
    return base::fail(
        0, "reginfo", path,
        std::format("it has schema {}, and runvm knows only {}; use `nix-store --dump-db`", version, schema_version));
}

base::Result<mounts::Database> open_unchecked(const std::string &path) {
    using Mode = mounts::Database::Mode;
    const auto usable = [](mounts::Database database) -> base::Result<mounts::Database> {
        auto statement = database.prepare("select 1 from ValidPaths limit 1");
        if (!statement) return std::unexpected(statement.error());
        return database;
    };
    struct stat st{};
    if (::stat(path.c_str(), &st) < 0)
        return base::fail(errno, "open database", path,
                          "is there a Nix store on this host? Name another database with --database");
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

}  // namespace

base::Result<mounts::Database> open_database(const std::string &path) {
    auto database = open_unchecked(path);
    if (!database) return database;
    if (auto known = check_schema(path); !known) return std::unexpected(known.error());
    return database;
}

}  // namespace hostside::nixdb
