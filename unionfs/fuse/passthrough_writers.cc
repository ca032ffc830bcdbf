#include "unionfs/fuse/passthrough_writers.h"

#include <fcntl.h>

#include "unionfs/fuse/capabilities.h"

namespace unionfs {

int open_backing_file(fuse_req_t request, int fd) {
    Capabilities ours{};
    if (!get_capabilities(ours)) return 0;
    Capabilities fewer = ours;
    fewer[CAP_TO_INDEX(CAP_FSETID)].effective &= ~CAP_TO_MASK(CAP_FSETID);
    if (!set_capabilities(fewer)) return 0;
    const int id = fuse_passthrough_open(request, fd);
    (void)set_capabilities(ours);  // it is still permitted
    return id;
}

void begin_passthrough_writes(Union &fs, Node &node, bool is_new) {
    if (node.has_passthrough_writers()) return;
    node.set_passthrough_writers(true);
    if (!is_new) fs.changed_by_us(node);  // attributes sent earlier never expire
}

void end_passthrough_writes(Union &fs, Node &node) {
    if (!node.has_passthrough_writers()) return;
    const std::lock_guard lock(node.mutex);
    Location place;
    if (node.opens != 0 || node.orphan() || fs.resolve_upper(node, place) != 0) return;
    fs.drop_data(node);  // because our own descriptor counts too
    const base::Fd fd(::openat(place.fd(), place.name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    // A mapping keeps the file open, and there can be no lease while it is open for writing (fcntl(2)). The lease ends with its
    // descriptor.
    if (fd && ::fcntl(fd.get(), F_SETLEASE, F_RDLCK) == 0) node.set_passthrough_writers(false);
}

}  // namespace unionfs
