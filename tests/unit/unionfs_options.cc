#include <catch_amalgamated.hpp>
#include <string>
#include <vector>

#include "unionfs/command/options.h"

using unionfs::parse_options;

namespace {

std::string refusal(const std::vector<std::string> &words) {
    const auto options = parse_options(words);
    return options ? "accepted" : base::message(options.error());
}

}  // namespace

TEST_CASE("the union takes the 2013 module's command line") {
    const auto options = parse_options({"-o", "allow_other,cow,nonempty,chroot=/mnt-root,max_files=32768,hide_meta_files",
                                        "/nix/.rw-store=RW:/nix/.ro-store=RO", "/nix/store"});
    REQUIRE(options);
    CHECK(options->upper == "/nix/.rw-store");
    CHECK(options->lowers == std::vector<std::string>{"/nix/.ro-store"});
    CHECK(options->chroot == "/mnt-root");
    CHECK(options->max_files == 32768);
    CHECK(options->mountpoint == "/nix/store");
    CHECK((options->copy_on_write && options->allow_other && options->nonempty && options->hide_meta_files));
}
TEST_CASE("without cow, files of unionfs-fuse's read-only branches stay as they are") {
    CHECK_FALSE(parse_options({"/a=RW:/b=RO", "/m"})->copy_on_write);
    CHECK(parse_options({"-olowerdir=/b,upperdir=/a", "/m"})->copy_on_write);
}
TEST_CASE("the union takes overlayfs's options, with colons in names") {
    const auto options =
        parse_options({"overlay", "/m", "-o", "rw,lowerdir=/a\\:1:/b,upperdir=/u,workdir=/w,x-systemd.automount,nodev"});
    REQUIRE(options);
    CHECK(options->lowers == std::vector<std::string>{"/a:1", "/b"});
    CHECK((options->upper == "/u" && options->work == "/w" && options->source == "overlay" && options->mountpoint == "/m"));
}
TEST_CASE("a wrong command line of the union names what is wrong") {
    CHECK(refusal({"-o", "lowerdir=/a,frobnicate", "/m"}) == "option 'frobnicate': is unknown; `-o help` lists all options");
    CHECK(refusal({"-x", "/m"}) == "option '-x': is unknown; `-o help` lists all options");
    CHECK(refusal({"-o", "lowerdir=/a,mode=fast", "/m"}) == "option 'mode=fast': expected auto, store or throughput");
    CHECK(refusal({"-o", "lowerdir=/a,max_files=many", "/m"}) == "option 'max_files=many': expected a number of at least 64");
    CHECK(refusal({"/a=RO:/b=RW", "/m"}) == "branch '/b=RW': the RW branch must come first");
    CHECK(refusal({"/a=RW:/b=RW", "/m"}) == "branch '/b=RW': is a second RW branch; only one is allowed");
    CHECK(refusal({"/a=XX", "/m"}) == "branch '/a=XX': expected =RW or =RO");
    CHECK(refusal({"-o", "lowerdir=", "/m"}) == "option 'lowerdir': needs a value");
    CHECK(refusal({"/m"}) == "unionfs '/m': no branch given");
    CHECK(refusal({}) == "unionfs: no mount point given; see `-o help`");
    CHECK(refusal({"-o", "lowerdir=/a,workdir=/w", "/m"}) == "option 'workdir': needs an upperdir");
}
