#include "unionfs/fuse/passthrough_writers.h"

#include <fcntl.h>

namespace unionfs {

void begin_written_through(Union &fs, Node &node, bool is_new) {
    if (node.is_written_through()) return;
    node.set_written_through(true);
    if (!is_new) fs.changed_by_us(node);  // what was told before held for ever
}

void end_written_through(Union &fs, Node &node) {
    if (!node.is_written_through()) return;
    const std::lock_guard lock(node.mutex);
    Where place;
    if (node.opens != 0 || node.orphan() || fs.where_upper(node, place) != 0) return;
    fs.cache.drop(node.slot);  // ours counts too
    node.slot_writable = false;
    const base::Fd fd(::openat(place.fd(), place.name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    // A mapping has the file open. While anybody has it so for writing there is no lease (fcntl(2)); it goes with the descriptor.
    if (fd && ::fcntl(fd.get(), F_SETLEASE, F_RDLCK) == 0) node.set_written_through(false);
}

}  // namespace unionfs
