#include "unionfs/tree/name_trace.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "mounts/base/at.h"
#include "unionfs/tree/union.h"

namespace unionfs {

namespace {

// Anyone who may create names in the root could create any number of them.
constexpr size_t most_names = 200'000;

}  // namespace

void NameTrace::note(std::string_view name) {
    if (std::ranges::any_of(name, [](unsigned char c) { return c < ' ' || c == 0x7f; })) return;  // it would break the line
    const std::lock_guard lock(mutex_);
    if (noted_.size() >= most_names || !noted_.emplace(name).second) return;
    std::string line(name);
    line += '\n';
    // A failed write must not stop the service. The sync is for 9p, which otherwise holds data back until the file is closed.
    if (::write(file_.get(), line.data(), line.size()) > 0)
        (void)::sync_file_range(file_.get(), 0, 0,
                                SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER);
}

void NameTrace::looked_up(Union &fs, Node &parent, std::string_view name, const Node &node) {
    if (&parent != fs.root) return used(fs, parent);
    if (!node.is_dir()) note(name);
}

void NameTrace::used(Union &fs, Node &directory) {
    if (&directory == fs.root) return;
    const auto link = fs.table.first_link(&directory);
    if (link && link->parent == fs.root) note(link->name);
}

base::Result<std::unique_ptr<NameTrace>> open_name_trace(const std::string &path) {
    auto file = base::open_at(AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY, 0644);
    if (!file) return std::unexpected(file.error());
    return std::make_unique<NameTrace>(std::move(*file));
}

}  // namespace unionfs
