// A SQLite database: connection and prepared statements, with errors as values. Single-threaded, because SQLite is built that
// way. Not an object mapper: SQL stays in the files that know the tables.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "mounts/base/error.h"

struct sqlite3;
struct sqlite3_stmt;

namespace mounts {

// Parameters count from 1, columns from 0, as in SQLite. text() is valid until the next step or reset.
class Statement {
  public:
    Statement() = default;
    explicit Statement(sqlite3_stmt *handle) : handle_(handle) {}

    // `text` is borrowed until reset().
    Statement &bind(int index, std::string_view text);
    Statement &bind(int index, int64_t value);
    Statement &bind_null(int index);

    base::Result<bool> step();  // true: there is a row
    base::Result<> run();       // runs to the end, then resets
    void reset();

    [[nodiscard]] bool is_null(int column) const;
    [[nodiscard]] int64_t integer(int column) const;
    [[nodiscard]] std::string_view text(int column) const;

  private:
    struct Finalize {
        void operator()(sqlite3_stmt *handle) const;
    };
    std::unique_ptr<sqlite3_stmt, Finalize> handle_;
};

class Database {
  public:
    enum class Mode {
        create,     // read and write; creates a missing database
        read_only,  // sees commits of other programs, including the -wal; needs a -shm or must be able to create it
        immutable,  // writes and locks nothing, for read-only file systems; ignores a -wal
    };
    static base::Result<Database> open(const std::string &path, Mode mode);

    base::Result<> execute(const std::string &sql);
    base::Result<Statement> prepare(std::string_view sql);
    [[nodiscard]] int64_t last_id() const;
    [[nodiscard]] int64_t changes() const;  // rows changed by the last statement

    // Closes and reports errors. The destructor closes too, silently.
    base::Result<> close();

  private:
    struct Close {
        void operator()(sqlite3 *handle) const;
    };
    std::unique_ptr<sqlite3, Close> handle_;
    std::string path_;
};

}  // namespace mounts
