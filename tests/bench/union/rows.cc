#include "tests/bench/union/rows.h"

#include <fcntl.h>
#include <unistd.h>

#include <format>
#include <fstream>

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

// What a compiler reads and writes: the C library's headers, sources, objects, a program.
void fill_source(const fs::path &directory) {
    fs::create_directories(directory);
    std::ofstream makefile(directory / "Makefile");
    makefile << "program:";
    for (int i = 0; i < 16; ++i) {
        makefile << std::format(" part-{}.o", i);
        std::ofstream(directory / std::format("part-{}.c", i)) << std::format(
            "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n"
            "int part_{}(const char *word) {{ return printf(\"%s %zu\", word, strlen(word)); }}\n{}",
            i, i == 0 ? "int main(void) { return part_0(\"\") != 0 ? EXIT_SUCCESS : EXIT_FAILURE; }\n" : "");
    }
    makefile << "\n\tcc -o $@ $^\n.c.o:\n\tcc -O1 -c -o $@ $<\n";
}

}  // namespace

void Lower::fill(int packages) {
    for (int package = 0; package < packages; ++package)
        for (int file = 0; file < files_a_package; ++file) {
            const std::string directory = std::format("package-{}/share/part-{}", package, file % 6);
            fs::create_directories(path / directory);
            files.push_back(std::format("{}/file-{}", directory, file));
            write_file(path / files.back(), 300U << (file % 8));
        }
    write_file(path / "big", size_t{64} << 20);
    fs::copy_file(fs::canonical("/bin/true"), path / "program");
    const std::string directory = path.string();
    need(run({"tar", "cf", path.parent_path() / "packages.tar", "-C", directory, "package-1", "package-2", "package-3",
              "package-4", "package-5"}) == 0,
         "tar");
    const std::string repository = path / "repository";
    need(run({"git", "init", "-q", repository}) == 0, "git init");
    need(run({"cp", "-a", path / "package-6", path / "package-7", path / "package-8", repository}) == 0, "cp");
    need(run({"git", "-C", repository, "add", "."}) == 0, "git add");
    need(run({"git", "-C", repository, "-c", "user.name=bench", "-c", "user.email=bench@localhost", "commit", "-q", "-m",
              "tree"}) == 0,
         "git commit");
    fill_source(path / "source");
}

const std::vector<Group> &groups() {
    static const std::vector<Group> all{
        {"names", "stat, missing names, find", measure_names},
        {"small", "open, read, tar, 4 readers, exec", measure_small},
        {"big", "sequential, random, mapped reads", measure_big},
        {"writes", "write, create, rename, unlink", measure_writes},
        {"copy-up", "of a big and of small files, chmod, rename, rm -r of merged directories", measure_copy_up},
        {"tools", "cp -a, untar, rm -rf, git clone, git status, compile", measure_tools}};
    return all;
}

}  // namespace bench
