// Puts a registration's rows into an open database, within the transaction of the caller. What `nix-store --load-db`
// does, except where that loses data: of a row that is there, signatures, content address, `ultimate` and deriver stay,
// and so do hash and size where the registration does not know them (zeros).
// Memory: one entry, a number a path and eight bytes a reference.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "mounts/base/error.h"
#include "mounts/database.h"
#include "mounts/registration.h"
#include "stage1/nixdb/path_index.h"

namespace stage1::nixdb {

class Loader {
  public:
    // `root` (borrowed) is the target root's descriptor, for the .drv files, which are read. `fresh`: the tables are empty.
    static base::Result<Loader> prepare(mounts::Database &database, int root, bool fresh);

    // All of the text at `fd`, which must be a regular file at its beginning: it is read again when a reference is
    // looked for. A failure says which line; the caller rolls back.
    base::Result<> load(int fd, const std::string &name);

    // Is this row one of the registration's?
    [[nodiscard]] bool registered(int64_t id) const {
        return static_cast<size_t>(id) < registered_.size() && registered_[static_cast<size_t>(id)];
    }
    [[nodiscard]] size_t added() const { return added_; }
    [[nodiscard]] size_t updated() const { return updated_; }
    [[nodiscard]] size_t paths() const { return paths_; }
    [[nodiscard]] const std::string &first_path() const { return first_path_; }

  private:
    Loader(mounts::Database &database, int root, bool fresh) : database_(&database), root_(root), fresh_(fresh) {}
    base::Result<> add(const mounts::PathInfo &info);
    base::Result<int64_t> update(const mounts::PathInfo &info);  // 0: there is no such row
    base::Result<> insert(const mounts::PathInfo &info, int64_t id);
    base::Result<> add_outputs(const mounts::PathInfo &info, int64_t id);
    base::Result<> resolve(int fd, const std::string &name);
    base::Result<> refuse_cycle();
    base::Result<> insert_references();

    mounts::Database *database_;
    int root_;
    bool fresh_;
    int64_t now_ = 0;
    mounts::Statement find_, update_, insert_, output_, reference_;
    PathIndex index_;
    std::vector<int64_t> row_;      // by number: the row's id; 0: mentioned only so far
    std::vector<uint64_t> edges_;   // referrer's number << 32 | reference's
    std::vector<bool> registered_;  // by row id
    std::string first_path_;
    size_t paths_ = 0, added_ = 0, updated_ = 0;
};

}  // namespace stage1::nixdb
