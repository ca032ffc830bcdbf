#include "tests/bench/union/rows.h"

#include <fcntl.h>
#include <unistd.h>

#include <format>

#include "tests/bench/union/measure.h"

namespace bench {

namespace fs = std::filesystem;

namespace {

constexpr int files_a_package = 60;

void write_file(const std::string &path, size_t size) {
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    need(fd >= 0, path);
    const std::string block(std::min<size_t>(size, 1 << 20), 'x');
    for (size_t at = 0; at < size; at += block.size())
        need(::write(fd, block.data(), std::min(block.size(), size - at)) > 0, path);
    ::close(fd);
}

}  // namespace

void Lower::fill(int packages) {
    for (int package = 0; package < packages; ++package)
        for (int file = 0; file < files_a_package; ++file) {
            const std::string folder = std::format("package-{}/share/part-{}", package, file % 6);
            fs::create_directories(path / folder);
            files.push_back(std::format("{}/file-{}", folder, file));
            write_file(path / files.back(), 300U << (file % 8));
        }
    write_file(path / "big", size_t{64} << 20);
    fs::copy_file(fs::canonical("/bin/true"), path / "program");
    const std::string folder = path.string();
    need(run({"tar", "cf", path.parent_path() / "packages.tar", "-C", folder, "package-1", "package-2", "package-3", "package-4",
              "package-5"}) == 0,
         "tar");
    const std::string repository = path / "repository";
    need(run({"git", "init", "-q", repository}) == 0, "git init");
    need(run({"cp", "-a", path / "package-6", path / "package-7", path / "package-8", repository}) == 0, "cp");
    need(run({"git", "-C", repository, "add", "."}) == 0, "git add");
    need(run({"git", "-C", repository, "-c", "user.name=bench", "-c", "user.email=bench@localhost", "commit", "-q", "-m",
              "tree"}) == 0,
         "git commit");
}

const std::vector<Group> &groups() {
    static const std::vector<Group> all{{"names", "stat, missing names, find", measure_names},
                                        {"small", "open, read, tar, 4 readers, exec", measure_small},
                                        {"big", "sequential, random, mapped reads", measure_big},
                                        {"writes", "write, create, rename, unlink", measure_writes},
                                        {"copy-up", "of a big and of small files, chmod, rename, rm -r", measure_copy_up},
                                        {"tools", "cp -a, untar, rm -rf, git clone, git status", measure_tools}};
    return all;
}

}  // namespace bench
