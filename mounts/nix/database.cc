#include "mounts/nix/database.h"

#include <sqlite3.h>

#include <cerrno>

namespace mounts {

namespace {

std::unexpected<base::Error> failed(sqlite3 *handle, std::string_view step, std::string_view path) {
    std::string why = sqlite3_errmsg(handle);
    if (sqlite3_errcode(handle) == SQLITE_BUSY) why += "; another program holds it";
    return base::fail(0, step, path, why);
}

std::string uri_of(const std::string &path) {
    std::string uri = "file:";
    for (const char c : path) {
        if (c == '?' || c == '#' || c == '%') {
            constexpr std::string_view digits = "0123456789abcdef";
            uri += '%';
            uri += digits[static_cast<unsigned char>(c) >> 4];
            uri += digits[c & 15];
        } else {
            uri += c;
        }
    }
    return uri;
}

constexpr int busy_timeout_ms = 10'000;

// Reading a view could take for ever. A database of Nix has none.
base::Result<> refuse_views(Database &database, const std::string &path) {
    auto views = database.prepare("select 1 from sqlite_schema where type = 'view'");
    if (!views) return std::unexpected(views.error());
    const auto row = views->step();
    if (!row) return std::unexpected(row.error());
    return *row ? base::fail(0, "open database", path, "it has a view, so it is not a database of Nix") : base::Result<>{};
}

}  // namespace

// The error that finalize returns was already returned by step().
void Statement::Finalize::operator()(sqlite3_stmt *handle) const { (void)sqlite3_finalize(handle); }
void Database::Close::operator()(sqlite3 *handle) const { (void)sqlite3_close_v2(handle); }

// A bind fails for an invalid index or when memory is exhausted. Then step() fails too, with the same reason.
Statement &Statement::bind(int index, std::string_view text) {
    (void)sqlite3_bind_text(handle_.get(), index, text.data(), static_cast<int>(text.size()), SQLITE_STATIC);
    return *this;
}
Statement &Statement::bind(int index, int64_t value) {
    (void)sqlite3_bind_int64(handle_.get(), index, value);
    return *this;
}
Statement &Statement::bind_null(int index) {
    (void)sqlite3_bind_null(handle_.get(), index);
    return *this;
}

base::Result<bool> Statement::step() {
    const int code = sqlite3_step(handle_.get());
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    sqlite3 *database = sqlite3_db_handle(handle_.get());
    return failed(database, "database", sqlite3_db_filename(database, "main"));
}

base::Result<> Statement::run() {
    for (;;) {
        auto row = step();
        if (!row || !*row) reset();
        if (!row) return std::unexpected(row.error());
        if (!*row) return {};
    }
}

void Statement::reset() { (void)sqlite3_reset(handle_.get()); }  // repeats the error of the last step

bool Statement::is_null(int column) const { return sqlite3_column_type(handle_.get(), column) == SQLITE_NULL; }
int64_t Statement::integer(int column) const { return sqlite3_column_int64(handle_.get(), column); }
std::string_view Statement::text(int column) const {
    const auto *text = reinterpret_cast<const char *>(sqlite3_column_text(handle_.get(), column));
    return text == nullptr ? std::string_view{}
                           : std::string_view(text, static_cast<size_t>(sqlite3_column_bytes(handle_.get(), column)));
}

base::Result<Database> Database::open(const std::string &path, Mode mode) {
    sqlite3 *handle = nullptr;
    // NOFOLLOW: write only to a file of this name, not through a link that somebody planted.
    const int flags =
        mode == Mode::create ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOFOLLOW : SQLITE_OPEN_READONLY;
    const int code = sqlite3_open_v2((uri_of(path) + (mode == Mode::immutable ? "?immutable=1" : "")).c_str(), &handle,
                                     flags | SQLITE_OPEN_URI, nullptr);
    Database database;
    database.handle_.reset(handle);
    database.path_ = path;
    if (code != SQLITE_OK) return failed(handle, "open database", path);
    (void)sqlite3_busy_timeout(handle, busy_timeout_ms);
    if (mode != Mode::create)
        if (auto result = refuse_views(database, path); !result) return std::unexpected(result.error());
    return database;
}

base::Result<> Database::execute(const std::string &sql) {
    if (sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK)
        return failed(handle_.get(), "database", path_);
    return {};
}

base::Result<Statement> Database::prepare(std::string_view sql) {
    sqlite3_stmt *statement = nullptr;
    if (sqlite3_prepare_v3(handle_.get(), sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &statement,
                           nullptr) != SQLITE_OK)
        return failed(handle_.get(), "database", path_);
    return Statement(statement);
}

int64_t Database::last_id() const { return sqlite3_last_insert_rowid(handle_.get()); }
int64_t Database::changes() const { return sqlite3_changes64(handle_.get()); }

base::Result<> Database::close() {
    if (sqlite3_close(handle_.get()) != SQLITE_OK) return failed(handle_.get(), "close database", path_);
    (void)handle_.release();
    return {};
}

}  // namespace mounts
