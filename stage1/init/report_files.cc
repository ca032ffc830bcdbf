#include "stage1/init/report_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <format>

#include "mounts/base/at.h"
#include "mounts/base/log.h"
#include "mounts/protocol.h"

namespace stage1 {

namespace {

using base::fail;
using base::Result;

// Opens a file beneath `root`, whose links belong to the guest. A FIFO without a reader is an error and does not block.
Result<base::Fd> open_beneath_root(const std::string &root, const std::string &path) {
    const auto directory = base::open_at(AT_FDCWD, root, O_PATH | O_DIRECTORY);
    if (!directory) return std::unexpected(directory.error());
    return base::open_in_root(directory->get(), path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_NONBLOCK, 0644);
}

void tell(const base::Error &error) { base::log(base::Priority::warning, message(error) + ", ignoring"); }

// Writes from offset 0, because the last record changes its length.
Result<> write_whole(int fd, std::string_view text, std::string_view path) {
    for (size_t at = 0; at < text.size();) {
        const ssize_t n = ::pwrite(fd, text.data() + at, text.size() - at, static_cast<off_t>(at));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return fail(n < 0 ? errno : EIO, "write", path);
        at += static_cast<size_t>(n);
    }
    return {};
}

}  // namespace

bool ReportFiles::add(const std::string &root, const std::string &path) {
    auto file = open_beneath_root(root, path);
    if (file)
        files_.push_back({path, std::move(*file)});
    else
        tell(file.error());
    return file.has_value();
}

void ReportFiles::open() {
    (void)::mkdir("/run/stage1", 0755);        // if this fails, the open reports it
    (void)add("/", std::string(report_path));  // add() logs the reason of a failure
}

void ReportFiles::open_in_xchg(const std::string &target_root) {
    in_xchg_ = add(target_root, std::format("{}/{}", mounts::protocol::xchg_dir, mounts::protocol::report_file));
}

void ReportFiles::write(std::string_view text) {
    for (Open &open : files_) {
        auto written = write_whole(open.file.get(), text, open.path);
        if (written && text.size() < open.size_bytes && ::ftruncate(open.file.get(), static_cast<off_t>(text.size())) < 0)
            written = fail(errno, "truncate", open.path);
        // 9p caches written pages until the file is closed (cache=mmap), and a failed machine may be ended at any moment. This
        // sends the pages to the host, but does not make the host write them to its disk.
        constexpr unsigned now = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
        if (written && ::sync_file_range(open.file.get(), 0, 0, now) < 0) written = fail(errno, "write back", open.path);
        open.size_bytes = text.size();
        if (!written) tell(written.error());
    }
}

}  // namespace stage1
