#include "stage1/nixdb/register_closure.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "mounts/base/at.h"
#include "mounts/nix/database.h"
#include "mounts/protocol.h"
#include "stage1/base/load_db.h"
#include "stage1/nixdb/loaded_mark.h"
#include "stage1/nixdb/loader.h"
#include "stage1/nixdb/new_database.h"
#include "stage1/nixdb/reconcile.h"
#include "stage1/nixdb/registered_closure.h"
#include "stage1/nixdb/registration_file.h"
#include "stage1/nixdb/schema.h"

namespace stage1::nixdb {

namespace {

// Opens a file or directory and syncs it.
base::Result<> sync(const std::string &path) {
    const auto fd = base::open_at(AT_FDCWD, path, O_RDONLY);
    if (!fd) return std::unexpected(fd.error());
    if (::fsync(fd->get()) < 0) return base::fail(errno, "fsync", path);
    return {};
}

// Removes what an interrupted run left. SQLite would apply an old log to a database that it does not belong to.
base::Result<> clear_leftovers(const std::string &directory, const std::string &path) {
    bool log_was_there = false;
    for (const char *suffix : {".new", "-wal", "-shm", "-journal"}) {
        if (::unlink((path + suffix).c_str()) == 0)
            log_was_there |= suffix[0] == '-';
        else if (errno != ENOENT)
            return base::fail(errno, "unlink", path + suffix);
    }
    return log_was_there ? sync(directory) : base::Result<>{};
}

// The new file gets its name only when it is complete and on the disk. The rename itself need not be durable: after a power cut
// the next boot creates the file again.
base::Result<> make_database(const std::string &directory, int root, const RegisteredClosure &closure) {
    const std::string path = directory + "/db.sqlite";
    const std::string next = path + ".new";
    if (auto cleared = clear_leftovers(directory, path); !cleared) return cleared;
    const auto written = base::open_at(AT_FDCWD, next, O_WRONLY | O_CREAT | O_EXCL, 0644).and_then([&](const base::Fd &fd) {
        auto done = write_database(fd.get(), next, closure, root);
        if (done && ::fsync(fd.get()) < 0) done = base::fail(errno, "fsync", next);
        return done;
    });
    if (!written) {
        (void)::unlink(next.c_str());  // the first error is the one that matters
        return written;
    }
    if (::rename(next.c_str(), path.c_str()) < 0) return base::fail(errno, "rename", path);
    return {};
}

// A file that was begun before a power cut has no table yet and is no database.
base::Result<bool> has_tables(mounts::Database &database) {
    auto statement = database.prepare("select 1 from sqlite_master where name = 'ValidPaths'");
    if (!statement) return std::unexpected(statement.error());
    return statement->step();
}

// Returns an empty descriptor if not even the closure is in the store. The store is then not mounted, so missing paths prove
// nothing.
base::Result<base::Fd> open_store(int root, const RegisteredClosure &closure) {
    auto store = base::open_in_root(root, std::string(mounts::protocol::store_dir), O_PATH | O_DIRECTORY);
    if (!store || closure.entries().empty()) return base::Fd{};
    auto text = closure.reader();
    mounts::PathInfo info;
    if (auto read = closure.read_header(text, closure.entries().front(), info); !read) return std::unexpected(read.error());
    if (!base::open_in_root(root, info.path, O_PATH | O_NOFOLLOW)) return base::Fd{};
    return std::move(*store);
}

// Changes go to the write-ahead log first and are complete there before they reach the database. Closing empties the log.
base::Result<> change_database(mounts::Database &database, int root, const RegisteredClosure &closure, bool strict,
                               RegisterReport &report) {
    const auto rows = [&]() -> base::Result<> {
        Loader loader(database, closure, root);
        if (auto loaded = loader.load(); !loaded) return loaded;
        report.added = loader.added();
        report.updated = loader.updated();
        report.others = loader.others().size();
        if (report.others == 0) return {};
        const auto store = open_store(root, closure);
        if (!store) return std::unexpected(store.error());
        if (!*store) {
            report.note = "the closure is not in this root's store: not looked for paths that are gone";
            return {};
        }
        const auto registered = [&](std::string_view path) { return closure.registers(path); };
        return reconcile(database, registered, loader.others(), store->get(), StoreLayers::open(root), strict)
            .transform([&](auto dropped) {
                report.others -= dropped.size();
                report.dropped = std::move(dropped);
            });
    };
    auto result =
        database.execute("pragma synchronous = normal; pragma journal_mode = wal; begin immediate;").and_then(rows).and_then([&] {
            return database.execute("commit");
        });
    if (!result) (void)database.execute("rollback");  // closing rolls back too; the first error is the one that matters
    return result;
}

base::Result<> load(const std::string &directory, int root, const RegisteredClosure &closure, bool strict,
                    RegisterReport &report) {
    const std::string path = directory + "/db.sqlite";
    report.paths = closure.entries().size();
    if (::access(path.c_str(), F_OK) == 0) {
        auto held = lock(directory, false);
        if (!held) return std::unexpected(held.error());
        auto database = mounts::Database::open(path, mounts::Database::Mode::create);
        if (!database) return std::unexpected(database.error());
        // No other process uses the database yet, so the log needs no index in shared memory.
        if (auto alone = database->execute("pragma locking_mode = exclusive"); !alone) return alone;
        const auto there = has_tables(*database);
        if (!there) return std::unexpected(there.error());
        auto changed = *there ? change_database(*database, root, closure, strict, report) : base::Result<>{};
        if (changed) changed = database->close();
        if (!changed || *there) return changed;
    }
    auto held = lock(directory, true);
    if (!held) return std::unexpected(held.error());
    report.fresh = true;
    report.added = closure.entries().size();
    return make_database(directory, root, closure);
}

}  // namespace

base::Result<RegisterReport> register_closure(const RegisterRequest &request) {
    RegisterReport report;
    if (request.mode == mounts::RegisterMode::off) return report;
    auto root = base::open_at(AT_FDCWD, request.target_root, O_PATH | O_DIRECTORY);
    if (!root)
        return base::fail(root.error().code, "register", request.target_root, "it is no target root: nothing is mounted there");
    auto source = find_registration(root->get(), request.reginfo);
    if (!source) return std::unexpected(source.error());
    if (!source->file) return report;
    report.reginfo = source->name;

    auto directory = open_directory(root->get());
    if (!directory) return std::unexpected(directory.error());
    if (auto own = refuse_strangers(*directory); !own) return std::unexpected(own.error());
    auto version = read_schema(*directory);
    if (!version) return std::unexpected(version.error());
    if (version->value_or(schema_version) != schema_version) {
        auto line = load_db({request.target_root, source->name, request.system});
        if (!line) return std::unexpected(line.error());
        report.left_to_nix = "schema " + std::to_string(**version) + " is not " + std::to_string(schema_version) + ": " + *line;
        return report;
    }
    auto print = fingerprint_of_file(source->file.get(), source->name);
    if (!print) return std::unexpected(print.error());
    report.unchanged = has_loaded_mark(*directory, loaded_mark(*directory, *print));
    if (report.unchanged) return report;

    auto closure = RegisteredClosure::read(source->file.get(), source->name);
    if (!closure) return std::unexpected(closure.error());
    auto done = load(*directory, root->get(), *closure, request.mode == mounts::RegisterMode::strict, report).and_then([&] {
        return finish_files(*directory);
    });
    if (!done) return std::unexpected(done.error());
    // If other rows exist, each boot checks whether their paths still exist.
    leave_loaded_mark(*directory, report.others == 0 ? loaded_mark(*directory, *print) : std::string{});
    return report;
}

std::string describe(const RegisterReport &report) {
    if (report.reginfo.empty()) return "register: nothing to load";
    if (!report.left_to_nix.empty()) return "register: " + report.left_to_nix;
    std::string line = "register: " + report.reginfo + ": ";
    if (report.unchanged) return line + "the database is as the last boot's registration of it left it";
    const auto count = [&](size_t number, const char *what) { line += std::to_string(number) + what; };
    count(report.paths, " paths, ");
    count(report.added, " added, ");
    count(report.updated, " changed, ");
    line += report.fresh ? "fresh database" : "existing database";
    if (!report.dropped.empty()) line += ", ", count(report.dropped.size(), " gone from the store and dropped:");
    for (const auto &path : report.dropped) line += " " + path;
    if (!report.note.empty()) line += "; " + report.note;
    return line;
}

}  // namespace stage1::nixdb
