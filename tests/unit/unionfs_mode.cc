#include <sys/sysmacros.h>

#include <catch_amalgamated.hpp>

#include "unionfs/command/mode.h"

using unionfs::choose_mode;
using unionfs::Mode;

TEST_CASE("auto takes the mode that the layers speak for") {
    CHECK(choose_mode({}).mode == Mode::store);
    CHECK(choose_mode({.takes_changes = true, .bytes_a_file = 1 << 30}).mode == Mode::store);
    CHECK(choose_mode({.takes_changes = true, .stale_readers = true}).mode == Mode::throughput);
    CHECK(choose_mode({.bytes_a_file = 48 << 10}).mode == Mode::store);
    CHECK(choose_mode({.bytes_a_file = 12 << 20}).mode == Mode::throughput);
    CHECK(choose_mode({.server = "9p", .bytes_a_file = 12 << 20}).mode == Mode::store);
    CHECK(choose_mode({.has_passthrough = false, .stale_readers = true, .bytes_a_file = 12 << 20}).mode == Mode::store);
    CHECK(choose_mode({.rootless = true, .stale_readers = true}).mode == Mode::store);
}
TEST_CASE("a layer's file system is known by its number in mountinfo") {
    constexpr const char *text =
        "21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/vda rw\n"
        "36 21 0:31 / /nix/.ro-store ro,relatime - 9p store ro,cache=loose,trans=virtio\n"
        "37 21 0:3 / /s rw - fuse.sshfs host: rw\n";
    CHECK(unionfs::file_system_type(text, makedev(8, 1)) == "ext4");
    CHECK(unionfs::file_system_type(text, makedev(0, 31)) == "9p");
    CHECK(unionfs::file_system_type(text, makedev(0, 3)) == "fuse.sshfs");
    CHECK(unionfs::file_system_type(text, makedev(0, 1)).empty());
}
TEST_CASE("auto's reason names what it saw of the layers") {
    CHECK(choose_mode({.bytes_a_file = 48 << 10}).reason.starts_with("files of the lowers average 48 KiB: warm opens"));
    CHECK(choose_mode({.server = "9p"}).reason ==
          "the lowers are on 9p, so with throughput every open would ask their server; with store, warm opens don't");
}
