#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "tests/bench/union/measure.h"

namespace bench {

namespace {

constexpr size_t big_size = size_t{64} << 20;

void read_file(const char *path, std::vector<char> &buffer) {
    const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
    need(fd >= 0, path);
    while (::read(fd, buffer.data(), buffer.size()) > 0) continue;
    ::close(fd);
}

void find(const std::string &path, bool with_stat) {
    DIR *entries = ::opendir(path.c_str());
    need(entries != nullptr, path);
    while (const dirent *entry = ::readdir(entries)) {
        if (entry->d_name[0] == '.') continue;
        struct stat status{};
        if (with_stat) (void)::fstatat(::dirfd(entries), entry->d_name, &status, AT_SYMLINK_NOFOLLOW);
        if (entry->d_type == DT_DIR) find(path + "/" + entry->d_name, with_stat);
    }
    ::closedir(entries);
}

void four_readers(const Lower &lower) {
    for (size_t reader = 0; reader < 4; ++reader)
        if (::fork() == 0) {
            std::vector<char> buffer(1 << 16);
            for (size_t i = reader; i < lower.files.size(); i += 4) read_file(lower.files[i].c_str(), buffer);
            ::_exit(0);
        }
    while (::wait(nullptr) > 0) continue;
}

// A generator of positions, the same in each run.
struct Positions {
    unsigned state = 1;
    off_t next() {
        state = state * 1103515245 + 12345;
        return static_cast<off_t>((state >> 4) % (big_size / 4096)) * 4096;
    }
};

void map_big(bool in_order) {
    const int fd = ::open("big", O_RDONLY | O_CLOEXEC);
    auto *bytes = static_cast<volatile char *>(::mmap(nullptr, big_size, PROT_READ, MAP_SHARED, fd, 0));
    if (!in_order) (void)::madvise(const_cast<char *>(bytes), big_size, MADV_RANDOM);
    Positions positions;
    if (in_order)
        for (size_t at = 0; at < big_size; at += 4096) (void)bytes[at];
    else
        for (int i = 0; i < 4000; ++i) (void)bytes[positions.next()];
    ::munmap(const_cast<char *>(bytes), big_size);
    ::close(fd);
}

}  // namespace

void measure_names(Results &results, Mounted &mounted, const Lower &lower) {
    struct stat status{};
    cold_and_warm(results, mounted, "stat", [&] {
        for (const auto &file : lower.files) need(::stat(file.c_str(), &status) == 0, file);
    });
    cold_and_warm(results, mounted, "missing name", [&] {
        for (const auto &file : lower.files) (void)::stat((file + "-none").c_str(), &status);
    });
    cold_and_warm(results, mounted, "find", [] { find(".", false); });
    cold_and_warm(results, mounted, "find + stat", [] { find(".", true); });
}

void measure_small(Results &results, Mounted &mounted, const Lower &lower) {
    std::vector<char> buffer(1 << 20);
    cold_and_warm(results, mounted, "open + close", [&] {
        for (const auto &file : lower.files) ::close(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    });
    cold_and_warm(results, mounted, "read all small files", [&] {
        for (const auto &file : lower.files) read_file(file.c_str(), buffer);
    });
    cold_and_warm(results, mounted, "4 readers", [&] { four_readers(lower); });
    cold_and_warm(results, mounted, "tar of the tree", [] { need(run({"tar", "cf", "-", "--exclude=big", "."}) == 0, "tar"); });
    mounted.again();
    measure(results, mounted, "exec of 200 programs", [] {
        for (int i = 0; i < 200; ++i) need(run({"./program"}) == 0, "program");
    });
}

void measure_big(Results &results, Mounted &mounted, const Lower &) {
    std::vector<char> buffer(1 << 20);
    cold_and_warm(results, mounted, "sequential read 1 MiB", [&] { read_file("big", buffer); });
    cold_and_warm(results, mounted, "random 4 KiB read", [&] {
        const int fd = ::open("big", O_RDONLY | O_CLOEXEC);
        Positions positions;
        for (int i = 0; i < 4000; ++i) (void)!::pread(fd, buffer.data(), 4096, positions.next());
        ::close(fd);
    });
    cold_and_warm(results, mounted, "mmap read", [] { map_big(true); });
    cold_and_warm(results, mounted, "mmap read, random", [] { map_big(false); });
}

}  // namespace bench
