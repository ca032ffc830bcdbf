#include "stage1/nixdb/loaded_mark.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mounts/base/at.h"
#include "mounts/base/regular_file.h"

namespace stage1::nixdb {

namespace {

constexpr const char *file_name = "/stage1-loaded";

}  // namespace

std::string loaded_mark(const std::string &directory, const Fingerprint &registration) {
    const std::string path = directory + "/db.sqlite";
    struct stat st{};
    for (const char *suffix : {"-wal", "-journal"})
        if (::stat((path + suffix).c_str(), &st) == 0 && st.st_size > 0) return {};
    if (::stat(path.c_str(), &st) < 0) return {};
    std::string mark = "stage1 1";  // format version of this line
    const auto add = [&](uint64_t number) { mark += ' ' + std::to_string(number); };
    add(registration.high);
    add(registration.low);
    add(st.st_ino);
    add(static_cast<uint64_t>(st.st_size));
    for (const timespec &time : {st.st_mtim, st.st_ctim}) {
        add(static_cast<uint64_t>(time.tv_sec));
        add(static_cast<uint64_t>(time.tv_nsec));
    }
    return mark + '\n';
}

bool has_loaded_mark(const std::string &directory, const std::string &mark) {
    if (mark.empty()) return false;
    const auto file = base::open_regular(AT_FDCWD, directory + file_name, O_RDONLY);
    const auto text = file ? base::read_all(file->get(), file_name, 1024) : std::unexpected(file.error());
    return text && *text == mark;
}

void leave_loaded_mark(const std::string &directory, const std::string &mark) {
    const std::string path = directory + file_name;
    if (mark.empty()) {
        (void)::unlink(path.c_str());  // a leftover mark of another database would not match anyway
        return;
    }
    const auto file = base::open_regular(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (file) (void)base::write_all(file->get(), mark, path);
}

}  // namespace stage1::nixdb
