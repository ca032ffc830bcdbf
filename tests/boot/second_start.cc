// The store of a system that is started again, when nobody asked for an image.

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <string>
#include <vector>

#include "mounts/base/at.h"
#include "tests/boot/machine.h"
#include "tests/boot/own_cache.h"

namespace {

using namespace boot_test;
using Catch::Matchers::ContainsSubstring;

const std::string look = R"sh(set -e
while read -r _ at type _; do [ $at != /nix/.ro-store ] || echo "the store is $type"; done </proc/mounts
nix-store --verify --check-contents && echo verified
)sh";

const std::string making = "making the store's image of 7 paths";

}  // namespace

TEST_CASE("a system's second start has its store as an image, over the same upper, and the first and --store-kind 9p have 9p") {
    for (const std::string engine : {"overlay", "fuse"}) {
        const OwnCache cache;
        Machine machine;
        const auto start = [&](const std::string &kind, const std::string &script) {
            return machine.boot({.store_union = "disk",
                                 .store_kind = kind,
                                 .script = look + script,
                                 .parameters = {"stage1.union.engine=" + engine},
                                 .registration = false});
        };
        const Boot first = start("auto", "echo 1 >/tmp/mine; nix-store --add /tmp/mine >/tmp/xchg/added");
        CHECK(first.exit_code == 0);
        CHECK_THAT(first.console,
                   ContainsSubstring("the store is 9p") && ContainsSubstring("verified") && !ContainsSubstring(making));
        CHECK(cache.images() == 0);
        const Boot plain = start("9p", "");
        CHECK_THAT(plain.console, ContainsSubstring("the store is 9p") && ContainsSubstring("verified"));
        CHECK(cache.images() == 0);
        const Boot second = start("auto", "[ 1 = $(cat $(cat /tmp/xchg/added)) ] && nix-store --delete $(cat /tmp/xchg/added)");
        CHECK(second.exit_code == 0);
        CHECK_THAT(second.console,
                   ContainsSubstring(making) && ContainsSubstring("the store is erofs") && ContainsSubstring("verified"));
        CHECK(cache.images() == 1);
        const Boot back = start("9p", "[ ! -e $(cat /tmp/xchg/added) ]");
        CHECK(back.exit_code == 0);
        CHECK_THAT(back.console, ContainsSubstring("the store is 9p") && ContainsSubstring("verified"));
    }
}

TEST_CASE("an image that can't be made is a reason for 9p, which is told once") {
    const OwnCache cache;
    const Setup setup{.store_kind = "auto", .script = look, .registration = false};
    CHECK_THAT(boot(setup).console, ContainsSubstring("the store is 9p"));
    // mkfs.erofs fails there.
    const std::string path = std::getenv("PATH"), bin = std::filesystem::temp_directory_path() / "no-mkfs.XXXXXX";
    std::string directory = bin;
    REQUIRE(::mkdtemp(directory.data()) != nullptr);
    REQUIRE(base::replace_file(directory + "/mkfs.erofs", "#!/bin/sh\necho it is broken; exit 1\n", 0755));
    ::setenv("PATH", (directory + ":" + path).c_str(), 1);
    const Boot failed = boot(setup), again = boot(setup);
    ::setenv("PATH", path.c_str(), 1);
    std::filesystem::remove_all(directory);
    CHECK(failed.exit_code == 0);
    CHECK_THAT(failed.console, ContainsSubstring("the store comes over 9p, not as an image: make the store's image") &&
                                   ContainsSubstring("it is broken") && ContainsSubstring("the store is 9p"));
    CHECK(again.exit_code == 0);
    CHECK_THAT(again.console, ContainsSubstring("the store is 9p") && !ContainsSubstring("not as an image"));
}
