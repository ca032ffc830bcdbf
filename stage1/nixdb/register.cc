#include "stage1/nixdb/register.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <format>

#include "mounts/base/at.h"
#include "mounts/database.h"
#include "mounts/protocol.h"
#include "stage1/load_db.h"
#include "stage1/nixdb/loader.h"
#include "stage1/nixdb/reconcile.h"
#include "stage1/nixdb/schema.h"

namespace stage1::nixdb {

namespace {

constexpr const char *image_registration = "/nix-path-registration";  // where NixOS's image builders leave it

struct Source {
    std::string name;
    base::Fd file;
};

base::Result<Source> open_source(int root, const std::string &reginfo) {
    auto file = base::open_in_root(root, reginfo, O_RDONLY);
    if (!file && (file.error().code == ENOENT || file.error().code == ENOTDIR)) file = base::open_at(AT_FDCWD, reginfo, O_RDONLY);
    if (!file)
        return base::fail(file.error().code, "register", reginfo, "the closure's registration, in the target root or outside");
    return Source{reginfo, std::move(*file)};
}

// Without a name from the caller: the initrd's file (a registration, or one line that says where it is), then the
// target root's. A Source without a file: there is none.
base::Result<Source> find_source(int root, const std::string &reginfo) {
    if (!reginfo.empty()) return open_source(root, reginfo);
    const std::string configured(mounts::protocol::reginfo_file);
    if (auto file = base::open_at(AT_FDCWD, configured, O_RDONLY)) {
        std::string head(4096, '\0');
        const ssize_t n = ::pread(file->get(), head.data(), head.size(), 0);
        if (n < 0) return base::fail(errno, "read", configured);
        head.resize(static_cast<size_t>(n));
        const size_t end = head.find('\n');
        if (end != std::string::npos && end + 1 < head.size()) return Source{configured, std::move(*file)};
        return open_source(root, head.substr(0, end));
    }
    auto image = base::open_in_root(root, image_registration, O_RDONLY);
    if (!image && image.error().code == ENOENT) return Source{};
    if (!image) return std::unexpected(image.error());
    return Source{image_registration, std::move(*image)};
}

// A file that Nix or we began and a cut ended holds no table yet, and is no database.
base::Result<bool> has_tables(const std::string &path) {
    struct stat st{};
    if (::stat(path.c_str(), &st) < 0) {
        if (errno == ENOENT) return false;
        return base::fail(errno, "stat", path);
    }
    auto database = mounts::Database::open(path, mounts::Database::Mode::create);
    if (!database) return std::unexpected(database.error());
    auto statement = database->prepare("select count(*) from sqlite_master where name = 'ValidPaths'");
    if (!statement) return std::unexpected(statement.error());
    auto row = statement->step();
    if (!row) return std::unexpected(row.error());
    return statement->integer(0) != 0;
}

void take_counts(RegisterReport &report, const Loader &loader) {
    report.paths = loader.paths();
    report.added = loader.added();
    report.updated = loader.updated();
}

// Nobody sees the new file before it is whole and on the disk: so it is built without journal and without syncs.
base::Result<> build(const std::string &path, int root, const Source &source, RegisterReport &report) {
    auto database = mounts::Database::open(path, mounts::Database::Mode::create);
    if (!database) return std::unexpected(database.error());
    const auto rows = [&]() -> base::Result<> {
        auto loader = Loader::prepare(*database, root, true);
        if (!loader) return std::unexpected(loader.error());
        auto loaded = loader->load(source.file.get(), source.name);
        take_counts(report, *loader);
        return loaded;
    };
    return database
        ->execute(
            "pragma journal_mode = off; pragma synchronous = off; pragma locking_mode = exclusive; pragma cache_size = -16384; "
            "begin;")
        .and_then([&] { return database->execute(create_tables); })
        .and_then(rows)
        .and_then([&] { return database->execute(create_indexes); })
        .and_then([&] { return database->execute("commit; pragma locking_mode = normal; pragma journal_mode = wal;"); })
        .and_then([&] { return database->close(); })
        .and_then([&] { return sync(path); });
}

base::Result<> make_database(const std::string &directory, int root, const Source &source, RegisterReport &report) {
    const std::string path = directory + "/db.sqlite";
    const std::string next = path + ".new";
    // What a cut left; a log beside a database that it does not belong to would be played into it.
    for (const char *suffix : {".new", ".new-wal", ".new-shm", "-wal", "-shm", "-journal"})
        if (::unlink((path + suffix).c_str()) < 0 && errno != ENOENT) return base::fail(errno, "unlink", path + suffix);
    if (auto built = build(next, root, source, report); !built) {
        (void)::unlink(next.c_str());  // the error that is returned is the one that matters
        return built;
    }
    if (::rename(next.c_str(), path.c_str()) < 0) return base::fail(errno, "rename", path);
    return sync(directory);
}

base::Result<> change_database(const std::string &directory, int root, const Source &source, bool strict,
                               RegisterReport &report) {
    const std::string path = directory + "/db.sqlite";
    auto database = mounts::Database::open(path, mounts::Database::Mode::create);
    if (!database) return std::unexpected(database.error());
    const auto rows = [&]() -> base::Result<> {
        auto loader = Loader::prepare(*database, root, false);
        if (!loader) return std::unexpected(loader.error());
        if (auto loaded = loader->load(source.file.get(), source.name); !loaded) return loaded;
        take_counts(report, *loader);
        auto store = base::open_in_root(root, std::string(mounts::protocol::store_dir), O_PATH | O_DIRECTORY);
        // Where not even the closure is in sight the store isn't mounted: nothing may be concluded from what is missing.
        if (!store || loader->paths() == 0 || !base::open_in_root(root, loader->first_path(), O_PATH | O_NOFOLLOW)) {
            report.note = "the closure is not in this root's store: not looked for paths that are gone";
            return {};
        }
        return reconcile(*database, *loader, store->get(), strict).transform([&](auto dropped) {
            report.dropped = std::move(dropped);
        });
    };
    auto result =
        database->execute("pragma foreign_keys = 1; pragma synchronous = normal; pragma journal_mode = wal; begin immediate;")
            .and_then(rows)
            .and_then([&] { return database->execute("commit"); });
    if (!result) {
        (void)database->execute("rollback");  // closing does it too; the first error is the one that matters
        return result;
    }
    return database->close();
}

}  // namespace

base::Result<RegisterReport> register_closure(const RegisterRequest &request) {
    RegisterReport report;
    if (request.mode == mounts::RegisterMode::off) return report;
    auto root = base::open_at(AT_FDCWD, request.target_root, O_PATH | O_DIRECTORY);
    if (!root) return std::unexpected(root.error());
    auto source = find_source(root->get(), request.reginfo);
    if (!source) return std::unexpected(source.error());
    if (!source->file) return report;
    report.reginfo = source->name;

    auto directory = open_directory(request.target_root);
    if (!directory) return std::unexpected(directory.error());
    auto version = read_schema(*directory);
    if (!version) return std::unexpected(version.error());
    if (version->value_or(schema_version) != schema_version) {
        auto line = load_db({request.target_root, source->name, request.system});
        if (!line) return std::unexpected(line.error());
        report.left_to_nix = std::format("schema {} is not {}: {}", **version, schema_version, *line);
        return report;
    }
    auto there = has_tables(*directory + "/db.sqlite");
    if (!there) return std::unexpected(there.error());
    report.fresh = !*there;
    auto held = lock(*directory, report.fresh);
    if (!held) return std::unexpected(held.error());
    auto done = report.fresh
                    ? make_database(*directory, root->get(), *source, report)
                    : change_database(*directory, root->get(), *source, request.mode == mounts::RegisterMode::strict, report);
    if (done) done = finish_files(*directory);
    if (!done) return std::unexpected(done.error());
    return report;
}

std::string describe(const RegisterReport &report) {
    if (report.reginfo.empty()) return "register: nothing to load";
    if (!report.left_to_nix.empty()) return "register: " + report.left_to_nix;
    std::string line = std::format("register: {}: {} paths, {} added, {} changed, {} database", report.reginfo, report.paths,
                                   report.added, report.updated, report.fresh ? "fresh" : "existing");
    if (!report.dropped.empty()) line += std::format(", {} gone from the store and dropped:", report.dropped.size());
    for (const auto &path : report.dropped) line += " " + path;
    if (!report.note.empty()) line += "; " + report.note;
    return line;
}

}  // namespace stage1::nixdb
