// What the firmware makes of a disk before any kernel runs.

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <fstream>

#include "tests/boot/place.h"

namespace {

namespace fs = std::filesystem;
using namespace boot_test;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("a boot disk without a boot loader is told at once, in the firmware's words and ours") {
    const Place place;
    const std::string disk = place.directory() + "/boot.raw";
    std::ofstream(disk).flush();
    fs::resize_file(disk, 8 << 20);
    const auto run =
        place.runvm({"run", "--use-boot-loader", "--boot-disk", disk, "--boot-disk-format", "raw", "--timeout", "60"});
    INFO(run.output);
    CHECK(run.status == 123);
    CHECK_THAT(run.output, ContainsSubstring("SeaBIOS") && ContainsSubstring("No bootable device") &&
                               ContainsSubstring("the firmware found nothing to boot"));
}

}  // namespace
