// A guest's disk with a link, a FIFO or a device in place of a file that registration opens: no hang, no change outside.
#include <sys/stat.h>

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>

#include "mounts/base/at.h"
#include "mounts/base/process.h"
#include "tests/support/nix_root.h"

namespace {

namespace fs = std::filesystem;
using nix_test::entry;

// In a separate process, because a hang would hang the test.
base::Exit register_in(const nix_test::Root &root) {
    const std::string stage1 = (fs::read_symlink("/proc/self/exe").parent_path().parent_path() / "stage1").string();
    const auto exit = base::run(
        {.argv = {"timeout", "20", stage1, "register", "--target-root", root.path, "--reginfo", "/reg"}, .capture_output = true});
    REQUIRE(exit);
    return *exit;
}

}  // namespace

TEST_CASE("links and FIFOs in the place of a database's files are named, and what they lead to is as it was", "[register]") {
    for (const std::string name :
         {"db.sqlite", "db.sqlite-wal", "db.sqlite-journal", "schema", "reserved", "big-lock", "stage1-loaded"})
        for (const bool fifo : {false, true}) {
            const nix_test::Root root;
            const std::string directory = root.path + "/nix/var/nix/db", outside = root.path + "/outside";
            fs::create_directories(directory);
            REQUIRE(base::replace_file(root.path + "/reg", entry(1)));
            REQUIRE(base::replace_file(outside, name == "schema" ? "10" : ""));
            const std::string path = directory + "/" + name;
            if (fifo)
                REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
            else
                fs::create_symlink(outside, path);
            const auto exit = register_in(root);
            INFO(name << (fifo ? " is a FIFO: " : " is a link: ") << exit.output);
            CHECK(exit.status == 1);
            CHECK(exit.output.contains(std::format("register '{}': not a regular file", path)));
            CHECK(fs::file_size(outside) == (name == "schema" ? 2 : 0));
        }
}

TEST_CASE("a registration that is a FIFO is no registration", "[register]") {
    const nix_test::Root root;
    REQUIRE(::mkfifo((root.path + "/reg").c_str(), 0600) == 0);
    const auto exit = register_in(root);
    INFO(exit.output);
    CHECK(exit.status == 1);
    CHECK(exit.output.contains("open '/reg': not a regular file but a link, a FIFO or a device; it was not opened"));
}
