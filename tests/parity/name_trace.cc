// The used names in the root, as the union records them for `runvm report --paths`.

#include <catch_amalgamated.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "mounts/base/at.h"
#include "tests/parity/mounted.h"

namespace {

namespace fs = std::filesystem;
using parity::Mounted;

std::set<std::string> lines_of(const fs::path &path) {
    std::ifstream file(path);
    std::set<std::string> lines;
    for (std::string line; std::getline(file, line);) lines.insert(line);
    return lines;
}

void fill(const fs::path &lower) {
    for (const char *name : {"read", "listed", "unused", "written"}) fs::create_directories(lower / name / "bin");
    for (const char *name : {"read/bin/program", "script", "other-script", "unused/bin/program"})
        std::ofstream(lower / name) << "text";
    fs::create_symlink("read", lower / "link");
    fs::create_symlink("read", lower / "unused-link");
}

TEST_CASE(
    "the union notes a directory of its root that something is looked up in, or that is read, and a file that is looked up") {
    Mounted stack("store");
    fill(stack.lower());
    const fs::path trace = stack.base() / "trace";
    stack.mount("trace=" + trace.string());
    // Reads only the root, like `ls` or completion, which does not count as use of its entries.
    std::set<std::string> names;
    for (const auto &entry : fs::directory_iterator(stack.root())) names.insert(entry.path().filename());
    CHECK(names.size() == 8);
    CHECK(lines_of(trace).empty());
    CHECK(base::read_file(stack.root() / "link/bin/program").value_or("") == "text");
    CHECK(lines_of(trace) == std::set<std::string>{"link", "read"});
    CHECK(fs::directory_iterator(stack.root() / "listed")->path().filename() == "bin");
    CHECK(base::read_file(stack.root() / "script").value_or("") == "text");
    std::ofstream(stack.root() / "written/new") << "text";
    CHECK(lines_of(trace) == std::set<std::string>{"link", "read", "listed", "script", "written"});
    CHECK(stack.unmount() == 0);
}

TEST_CASE("a worker that takes the place of one that was killed goes on with the same file") {
    Mounted stack("store");
    fill(stack.lower());
    const fs::path trace = stack.base() / "trace";
    stack.mount("trace=" + trace.string());
    CHECK(fs::exists(stack.root() / "read/bin/program"));
    REQUIRE(::kill(stack.worker(), SIGKILL) == 0);
    CHECK(fs::exists(stack.root() / "unused/bin/program"));
    CHECK(lines_of(trace) == std::set<std::string>{"read", "unused"});
    CHECK(stack.unmount() == 0);
}

}  // namespace
