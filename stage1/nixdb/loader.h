// Updates an existing database to a registration, within the caller's transaction. Does what `nix-store --load-db` does, but
// loses no data: existing rows keep their signatures, content address, `ultimate` and deriver. They also keep hash and size if
// the registration does not have them. Compares first, in one pass over each table, and writes only differences.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "mounts/base/error.h"
#include "mounts/nix/database.h"
#include "stage1/nixdb/registered_closure.h"

namespace stage1::nixdb {

class Loader {
  public:
    // All three are borrowed. `root` is the target root's descriptor, for the .drv files.
    Loader(mounts::Database &database, const RegisteredClosure &closure, int root)
        : database_(&database), closure_(&closure), root_(root) {}

    // Error: a reference is in neither the registration nor the database, or a .drv cannot be read. The caller rolls back.
    base::Result<> load();

    [[nodiscard]] size_t added() const { return added_; }
    [[nodiscard]] size_t updated() const { return updated_; }
    [[nodiscard]] size_t references_added() const { return references_added_; }
    // Rows of paths that are not in the registration.
    [[nodiscard]] const std::vector<int64_t> &others() const { return others_; }

  private:
    using Reference = std::pair<int64_t, int64_t>;  // referrer's row, reference's row
    base::Result<> compare_paths();
    base::Result<> update_paths();
    base::Result<> insert_paths();
    base::Result<> load_references();
    base::Result<std::vector<Reference>> missing_references(const std::vector<std::pair<int64_t, uint32_t>> &rows);
    std::vector<int64_t> reference_rows(const RegisteredClosure::Entry &entry) const;

    mounts::Database *database_;
    const RegisteredClosure *closure_;
    int root_;
    std::vector<int64_t> rows_;      // by path number; 0: no row yet
    std::vector<uint32_t> changed_;  // ranks
    std::vector<int64_t> others_;
    int64_t last_row_ = 0;  // the last existing row
    size_t added_ = 0, updated_ = 0, references_added_ = 0;
};

}  // namespace stage1::nixdb
