// The union's engines in a real machine: the kernel's overlayfs and our own, for both places of the upper.
#include <catch_amalgamated.hpp>

#include "tests/boot/machine.h"

using boot_test::boot;
using boot_test::Machine;
using Catch::Matchers::ContainsSubstring;

namespace {

// The store is of that type, can be written, and Nix verifies what is in it.
constexpr const char *use_the_store =
    "grep ' /nix/store ' /proc/mounts\n"
    "echo written >/nix/store/by-the-guest && cat /nix/store/by-the-guest\n"
    "nix-store --verify --check-contents && echo verified\n";

}  // namespace

TEST_CASE("our own union makes the store writable, with its upper on tmpfs") {
    const auto b = boot({.store_union = "tmpfs", .script = use_the_store, .parameters = {"stage1.union.engine=fuse"}});
    CHECK_THAT(b.console, ContainsSubstring("fuse"));
    CHECK_THAT(b.console, ContainsSubstring("verified"));
    CHECK(b.exit_code == 0);
}

TEST_CASE("an upper on the disk that our own union wrote is the kernel's at the next boot") {
    Machine machine;
    const auto first = machine.boot({.store_union = "disk", .script = use_the_store, .parameters = {"stage1.union.engine=fuse"}});
    CHECK_THAT(first.console, ContainsSubstring("verified"));
    CHECK(first.exit_code == 0);
    const auto second = machine.boot({.store_union = "disk",
                                      .script = "grep ' /nix/store overlay' /proc/mounts; cat /nix/store/by-the-guest",
                                      .parameters = {"stage1.union.engine=overlay"}});
    CHECK_THAT(second.console, ContainsSubstring("written"));
    CHECK(second.exit_code == 0);
}
