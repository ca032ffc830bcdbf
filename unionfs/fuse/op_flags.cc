// The ioctls of lsattr(1), chattr(1) and xfs_io(8): FS_IOC_GETFLAGS and its siblings, on the visible object. Changes are made
// in the upper. No other ioctl(2) is answered, because only the file system beneath knows what it means and whom it harms.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "unionfs/fuse/guarded.h"
#include "unionfs/fuse/operations.h"
#include "unionfs/tree/preserved_times.h"

namespace unionfs {

namespace {

struct Question {
    unsigned long command;
    bool is_change;
    size_t size;  // of the kernel's data
};

const Question *question_of(unsigned command) {
    static constexpr std::array<Question, 4> known{{{FS_IOC_GETFLAGS, false, sizeof(uint32_t)},
                                                    {FS_IOC_SETFLAGS, true, sizeof(uint32_t)},
                                                    {FS_IOC_FSGETXATTR, false, sizeof(fsxattr)},
                                                    {FS_IOC_FSSETXATTR, true, sizeof(fsxattr)}}};
    for (const Question &question : known)
        if (static_cast<unsigned>(question.command) == command) return &question;
    return nullptr;
}

// Opens the file or directory itself, because an O_PATH descriptor takes no ioctl.
int open_object(Union &fs, Node &node, bool is_change, FdRef &fd) {
    if (!node.is_file() && !node.is_dir()) return ENOTTY;
    if (is_change)
        if (const int error = fs.copy_up(node); error != 0) return error;
    if (node.is_file()) return fs.data(node, false, fd);  // opening an immutable file for writing would fail
    Location place;
    if (const int error = fs.resolve(node, place); error != 0) return error;
    base::Fd opened(::openat(place.fd(), place.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!opened) return errno;
    fd = std::make_shared<const base::Fd>(std::move(opened));
    return 0;
}

void ioctl(fuse_req_t request, fuse_ino_t id, unsigned command, void *, fuse_file_info *, unsigned, const void *in,
           size_t in_size, size_t out_size) {
    const Question *question = question_of(command);
    if (question == nullptr || (question->is_change ? in_size : out_size) < question->size) {
        fuse_reply_err(request, ENOTTY);
        return;
    }
    Union &fs = union_of(request);
    Node &node = node_of(request, id);
    FdRef fd;
    int error = open_object(fs, node, question->is_change, fd);
    alignas(8) std::array<char, sizeof(fsxattr)> value{};
    if (question->is_change) {
        std::memcpy(value.data(), in, question->size);
        let_change_show(node);
    }
    if (error == 0 && ::ioctl(fd->get(), static_cast<int>(question->command), value.data()) < 0) error = errno;
    if (question->is_change && node.is_file()) fs.open_anew(node);
    if (question->is_change) fs.changed_by_us(node);  // for ctime; fuse_fileattr_set (linux/fs/fuse/ioctl.c) drops nothing
    if (error != 0)
        fuse_reply_err(request, error);
    else
        fuse_reply_ioctl(request, 0, value.data(), question->is_change ? 0 : question->size);
}

}  // namespace

void add_flags(fuse_lowlevel_ops &ops) { guard<ioctl>(ops.ioctl); }

}  // namespace unionfs
