// The data of a file onto another, empty one: reflink, else copy_file_range, else by hand; holes stay holes.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "unionfs/tree/union.h"

namespace unionfs {

namespace {

// One stretch of data. The two in-kernel ways are tried first; both may say that they can't.
int copy_stretch(int from, int to, off_t at, off_t end) {
    static constexpr size_t most = size_t{8} << 20;
    bool range = true;
    while (at < end) {
        const size_t size = std::min<size_t>(most, static_cast<size_t>(end - at));
        off_t in = at, out = at;
        ssize_t n = -1;
        if (range) {
            n = ::copy_file_range(from, &in, to, &out, size, 0);
            if (n < 0 && errno != ENOSPC && errno != EDQUOT && errno != EIO) range = false;
        }
        if (!range) {
            if (::lseek(to, at, SEEK_SET) < 0) return errno;
            in = at;
            n = ::sendfile(to, from, &in, size);
        }
        if (n < 0) return errno;
        if (n == 0) return 0;  // shorter than it was said to be
        at += n;
    }
    return 0;
}

}  // namespace

int copy_data(int from, int to, off_t size, bool has_holes) {
    if (size == 0) return 0;
    if (::ioctl(to, FICLONE, from) == 0) return ::ftruncate(to, size) < 0 ? errno : 0;
    if (!has_holes) return copy_stretch(from, to, 0, size);
    if (::ftruncate(to, size) < 0) return errno;
    for (off_t at = 0; at < size;) {
        const off_t data = ::lseek(from, at, SEEK_DATA);
        if (data < 0 && errno == ENXIO) return 0;  // a hole up to the end
        const off_t begin = data < 0 ? at : data;
        const off_t hole = data < 0 ? size : ::lseek(from, begin, SEEK_HOLE);
        const off_t end = hole < 0 ? size : std::min(hole, size);
        if (begin >= size) return 0;
        if (const int error = copy_stretch(from, to, begin, end); error != 0) return error;
        at = end;
    }
    return 0;
}

}  // namespace unionfs
