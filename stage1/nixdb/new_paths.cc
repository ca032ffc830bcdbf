#include "stage1/nixdb/new_paths.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <format>

#include "mounts/base/at.h"
#include "mounts/base/directory.h"
#include "mounts/nix/database.h"
#include "mounts/nix/registration.h"
#include "stage1/nixdb/schema.h"
#include "stage1/nixdb/store_layers.h"

namespace stage1::nixdb {

namespace {

using base::Result;

// Whether there is such an entry, and what it is. Only ENOENT means that there is none.
Result<bool> look_up(const base::Fd &layer, const std::string &name, struct stat &st) {
    if (::fstatat(layer.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0) return true;
    if (errno == ENOENT) return false;
    return base::fail(errno, "list the store", name);
}

// Not a whiteout, not in the host's store, and not a remnant of a path that used to be there.
Result<bool> is_own(const StoreLayers &layers, const std::string &name) {
    struct stat st{};
    const auto above = look_up(layers.upper, name, st);
    if (!above || !*above) return above;
    if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode)) return false;
    const auto below = look_up(layers.lower, name, st);
    if (!below) return below;
    return !*below && !layers.has_only_changes(name);
}

class ValidRows {
  public:
    static Result<ValidRows> open(const std::string &path) {
        auto database = mounts::Database::open(path, mounts::Database::Mode::read_only);
        if (!database) return std::unexpected(database.error());
        // One snapshot for all queries, even if Nix commits during them.
        if (auto begun = database->execute("begin"); !begun) return std::unexpected(begun.error());
        ValidRows rows(std::move(*database));
        auto path_of = rows.database_.prepare("select id, hash, narSize, deriver from ValidPaths where path = ?");
        auto references = rows.database_.prepare(
            "select v.path from Refs r join ValidPaths v on v.id = r.reference where r.referrer = ? order by v.path");
        if (!path_of || !references) return std::unexpected(path_of ? references.error() : path_of.error());
        rows.path_ = std::move(*path_of);
        rows.references_ = std::move(*references);
        return rows;
    }

    // False: the path is not valid.
    Result<bool> find(const std::string &path, mounts::PathInfo &info) {
        info = {.path = path};
        auto row = path_.bind(1, path).step();
        if (row && *row) {
            const auto hash = mounts::parse_hash(path_.text(1));
            if (!hash) return base::fail(0, "list the store", path, "the database has no valid hash of it");
            info.hash = *hash;
            info.nar_size = static_cast<uint64_t>(path_.integer(2));
            info.deriver = path_.text(3);
            references_.bind(1, path_.integer(0));
        }
        const bool valid = row && *row;
        path_.reset();
        if (!valid) return row;
        for (row = references_.step(); row && *row; row = references_.step()) info.references.emplace_back(references_.text(0));
        references_.reset();
        return row ? Result<bool>(true) : row;
    }

  private:
    explicit ValidRows(mounts::Database database) : database_(std::move(database)) {}

    mounts::Database database_;
    mounts::Statement path_, references_;
};

}  // namespace

Result<std::string> registration_of_new_paths(const std::string &target_root) {
    const auto root = base::open_at(AT_FDCWD, target_root, O_PATH | O_DIRECTORY);
    if (!root) return std::unexpected(root.error());
    const StoreLayers layers = StoreLayers::open(root->get());
    if (!layers.upper)
        return base::fail(0, "list the store", target_root, "there is no union over the store, so that nothing was added to it");
    const auto names = base::names_in(layers.upper.get(), "upper");
    if (!names) return std::unexpected(names.error());
    const auto directory = open_directory(root->get());
    if (!directory) return std::unexpected(directory.error());
    auto rows = ValidRows::open(*directory + "/db.sqlite");
    if (!rows) return std::unexpected(rows.error());
    std::string text;
    mounts::PathInfo info;
    for (const auto &name : *names) {
        const std::string path = std::string(mounts::store_prefix) + name;
        if (!mounts::store_path_fault(path).empty()) continue;
        const auto own = is_own(layers, name);
        if (!own) return std::unexpected(own.error());
        if (!*own) continue;
        const auto valid = rows->find(path, info);
        if (!valid) return std::unexpected(valid.error());
        if (*valid) print(text, info, mounts::RegistrationFormat::dump_db);
    }
    return text;
}

}  // namespace stage1::nixdb
