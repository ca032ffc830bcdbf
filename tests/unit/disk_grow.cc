// Cases that are not grown. Growing needs CAP_SYS_RESOURCE; a test in a machine covers it (tests/boot/disk.cc).
#include <catch_amalgamated.hpp>

#include "stage1/disk/grow.h"

TEST_CASE("what is no ext4 is not grown, and that is said", "[disk]") {
    const auto grown = stage1::grow_file_system("/proc");
    REQUIRE_FALSE(grown);
    CHECK(message(grown.error()) == "grow '/proc': only an ext4 can be grown while it is mounted");
}
