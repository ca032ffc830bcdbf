#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <format>

#include "tests/bench/union/measure.h"

namespace bench {

namespace {

void each(int count, const auto &work) {
    for (int i = 0; i < count; ++i) work(std::format("made/{}", i));
}

}  // namespace

void measure_writes(Results &results, Mounted &mounted, const Lower &) {
    mounted.again();
    const std::string block(1 << 20, 'w');
    for (const size_t size : {size_t{4096}, size_t{131072}, size_t{1048576}})
        measure(results, mounted, std::format("write {} KiB blocks", size / 1024), [&] {
            const int fd = ::open("written", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
            for (size_t at = 0; at < size_t{32} << 20; at += size) need(::write(fd, block.data(), size) > 0, "write");
            ::close(fd);
        });
    (void)::mkdir("made", 0755);
    measure(results, mounted, "create", [] {
        each(4000, [](const std::string &name) { ::close(::open(name.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0644)); });
    });
    measure(results, mounted, "rename in the upper",
            [] { each(1000, [](const std::string &name) { need(::rename(name.c_str(), (name + "r").c_str()) == 0, name); }); });
    measure(results, mounted, "unlink", [] {
        each(4000, [](const std::string &name) {
            if (::unlink(name.c_str()) != 0) ::unlink((name + "r").c_str());
        });
    });
    // What a file costs that has many names already, as one that nix-store --optimise has met often.
    ::close(::open("linked", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    const auto link_name = [](const std::string &name) { need(::link("linked", name.c_str()) == 0, name); };
    each(11000, link_name);
    const auto one_more = [](int i) { return "made/more-" + std::to_string(i); };
    measure(results, mounted, "link, after 11,000 names", [&] {
        for (int i = 0; i < 1000; ++i) link_name(one_more(i));
    });
    measure(results, mounted, "unlink of one name of 12,000", [&] {
        for (int i = 0; i < 1000; ++i) need(::unlink(one_more(i).c_str()) == 0, one_more(i));
    });
}

void measure_copy_up(Results &results, Mounted &mounted, const Lower &lower) {
    mounted.again();
    measure(results, mounted, "copy-up of 64 MB", [] {
        ::close(::open("big", O_WRONLY | O_CLOEXEC));
        (void)::chmod("big", 0600);
    });
    const auto of_files = [&](size_t from, const auto &work) {
        for (size_t i = from; i < from + 1000 && i < lower.files.size(); ++i) work(lower.files[i]);
    };
    measure(results, mounted, "copy-up of 1,000 small files", [&] {
        of_files(0, [](const std::string &file) {
            const int fd = ::open(file.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
            need(::write(fd, "x", 1) == 1, file);
            ::close(fd);
        });
    });
    measure(results, mounted, "chmod of 1,000 lower files",
            [&] { of_files(1000, [](const std::string &file) { (void)::chmod(file.c_str(), 0600); }); });
    measure(results, mounted, "rename of 1,000 lower files", [&] {
        of_files(2000, [](const std::string &file) { need(::rename(file.c_str(), (file + "r").c_str()) == 0, file); });
    });
    ::close(::open("package-55/new", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    measure(results, mounted, "rename of a merged directory", [] {
        if (::rename("package-55", "moved") != 0) need(errno == EXDEV && run({"mv", "package-55", "moved"}) == 0, "mv");
    });
    measure(results, mounted, "rm -r of a merged tree",
            [] { need(run({"rm", "-rf", "package-50", "package-51", "package-52", "package-53", "package-54"}) == 0, "rm"); });
}

void measure_tools(Results &results, Mounted &mounted, const Lower &lower) {
    mounted.again();
    (void)::mkdir("made", 0755);
    std::vector<std::string> copy{"cp", "-a"};
    for (int i = 10; i < 20; ++i) copy.push_back(std::format("package-{}", i));
    copy.emplace_back("made");
    measure(results, mounted, "cp -a", [&] { need(run(copy) == 0, "cp"); });
    measure(results, mounted, "rm -rf of the copy", [] { need(run({"rm", "-rf", "made"}) == 0, "rm"); });
    (void)::mkdir("made", 0755);
    const std::string archive = lower.path.parent_path() / "packages.tar";
    measure(results, mounted, "untar", [&] { need(run({"tar", "xf", archive, "-C", "made"}) == 0, "tar"); });
    const std::vector<std::string> git{"git", "-c", "safe.directory=*"};
    const auto run_git = [&](std::initializer_list<const char *> words) {
        std::vector<std::string> argv = git;
        argv.insert(argv.end(), words.begin(), words.end());
        need(run(argv) == 0, "git");
    };
    measure(results, mounted, "git clone", [&] { run_git({"clone", "-q", "--no-local", "repository", "clone"}); });
    measure(results, mounted, "git status", [&] { run_git({"-C", "clone", "status", "--porcelain"}); });
    measure(results, mounted, "compile -j2", [] { need(run({"make", "-s", "-j2", "-C", "source"}) == 0, "make"); });
}

}  // namespace bench
