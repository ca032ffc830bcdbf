#include "stage1/nixdb/schema.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <format>

#include "mounts/base/at.h"

namespace stage1::nixdb {

namespace {
constexpr off_t reserved_bytes = off_t{8} << 20;
}

// SQLite keeps this text: column for column what `.schema` shows of Nix's own.
const char *const create_tables = R"(
create table ValidPaths (
    id               integer primary key autoincrement not null,
    path             text unique not null,
    hash             text not null,
    registrationTime integer not null,
    deriver          text,
    narSize          integer,
    ultimate         integer,
    sigs             text,
    ca               text
);
create table Refs (
    referrer  integer not null,
    reference integer not null,
    primary key (referrer, reference),
    foreign key (referrer) references ValidPaths(id) on delete cascade,
    foreign key (reference) references ValidPaths(id) on delete restrict
);
create table DerivationOutputs (
    drv  integer not null,
    id   text not null,
    path text not null,
    primary key (drv, id),
    foreign key (drv) references ValidPaths(id) on delete cascade
);
create table SchemaMigrations (migration text primary key not null);
)";

const char *const create_indexes = R"(
create index IndexReferrer on Refs(referrer);
create index IndexReference on Refs(reference);
create trigger DeleteSelfRefs before delete on ValidPaths
  begin
    delete from Refs where referrer = old.id and reference = old.id;
  end;
create index IndexDerivationOutputs on DerivationOutputs(path);
)";

base::Result<std::string> open_directory(const std::string &target_root) {
    auto root = base::open_at(AT_FDCWD, target_root, O_PATH | O_DIRECTORY);
    if (!root) return std::unexpected(root.error());
    const std::string path(database_dir);
    auto directory = base::open_in_root(root->get(), path, O_PATH | O_DIRECTORY);
    if (!directory && directory.error().code == ENOENT) {
        if (auto made = base::make_directories_at(root->get(), path); !made) return std::unexpected(made.error());
        directory = base::open_in_root(root->get(), path, O_PATH | O_DIRECTORY);
    }
    if (!directory) return std::unexpected(directory.error());
    std::array<char, 4096> real{};
    const std::string link = std::format("/proc/self/fd/{}", directory->get());
    const ssize_t length = ::readlink(link.c_str(), real.data(), real.size());
    if (length < 0) return base::fail(errno, "resolve", path, "needs /proc");
    return std::string(real.data(), static_cast<size_t>(length));
}

base::Result<std::optional<int>> read_schema(const std::string &directory) {
    const std::string path = directory + "/schema";
    auto text = base::read_file(path, 64);
    if (!text && text.error().code == ENOENT) return std::optional<int>{};
    if (!text) return std::unexpected(text.error());
    while (!text->empty() && (text->back() == '\n' || text->back() == ' ')) text->pop_back();
    // Cut while it was written: as good as none. What db.sqlite holds is looked at anyway.
    if (text->empty()) return std::optional<int>{};
    int version = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), version);
    if (error != std::errc{} || end != text->data() + text->size())
        return base::fail(0, "register", path, std::format("'{}' is not a schema version", *text));
    return version;
}

base::Result<base::Fd> lock(const std::string &directory, bool exclusive) {
    const std::string path = directory + "/big-lock";
    auto fd = base::open_at(AT_FDCWD, path, O_RDWR | O_CREAT, 0600);
    if (!fd) return fd;
    if (::flock(fd->get(), (exclusive ? LOCK_EX : LOCK_SH) | LOCK_NB) < 0)
        return base::fail(errno, "lock", path, "a Nix is at work in this root; register before it starts");
    return fd;
}

base::Result<> finish_files(const std::string &directory) {
    auto reserved = base::open_at(AT_FDCWD, directory + "/reserved", O_WRONLY | O_CREAT, 0600);
    // Nix goes on without it too, on a full disk: it is a convenience.
    if (reserved) (void)::posix_fallocate(reserved->get(), 0, reserved_bytes);
    auto version = read_schema(directory);
    if (!version) return std::unexpected(version.error());
    if (*version) return {};
    if (auto done = base::replace_file(directory + "/schema", std::to_string(schema_version)); !done) return done;
    return sync(directory);
}

base::Result<> sync(const std::string &path) {
    auto fd = base::open_at(AT_FDCWD, path, O_RDONLY);
    if (!fd) return std::unexpected(fd.error());
    if (::fsync(fd->get()) < 0) return base::fail(errno, "fsync", path);
    return {};
}

}  // namespace stage1::nixdb
