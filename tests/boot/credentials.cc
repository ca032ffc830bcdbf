// Secrets from the host that the guest's systemd finds by name.

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>
#include <fstream>

#include "mounts/base/at.h"
#include "tests/boot/machine.h"
#include "tests/boot/place.h"

namespace {

using namespace boot_test;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("a credential is a file of the guest's systemd, and on no command line") {
    const Place place("sleep 1000");
    const std::string system = base::read_file(fixture() + "/systemd/toplevel").value_or("");
    std::ofstream(place.directory() + "/to, ken") << "hush, 5\nlines\n";
    const auto runvm = [&](const std::vector<std::string> &words) {
        std::vector<std::string> all{"exec",
                                     "--accel",
                                     "tcg",
                                     "--store",
                                     fixture() + "/root/nix/store",
                                     "--toplevel",
                                     system.substr(0, system.find('\n')),
                                     "--timeout",
                                     "300"};
        all.insert(all.end(), words.begin(), words.end());
        return place.runvm(all);
    };
    const std::string bash = std::filesystem::read_symlink(fixture() + "/root" + fixture_toplevel() + "/sw/bin/bash").string();
    const auto got = runvm({"--credentials", "token=" + place.directory() + "/to, ken", "--", bash, "-c",
                            "echo \"<$(</run/credentials/@system/token)>\"; [[ $(</proc/cmdline) != *hush* ]]"});
    INFO(got.output);
    CHECK(got.status == 0);
    CHECK_THAT(got.output, ContainsSubstring("<hush, 5\nlines>\n"));
    const auto absent = runvm({"--credentials", "token=/nowhere", "--", "true"});
    CHECK(absent.status == 124);
    CHECK_THAT(absent.output,
               ContainsSubstring("read credential '/nowhere': No such file or directory; it is the source of token"));
    std::ofstream(place.directory() + "/empty").close();
    CHECK_THAT(runvm({"--credentials", "token=" + place.directory() + "/empty", "--", "true"}).output,
               ContainsSubstring("it has 0 bytes; systemd accepts 1 to 1048576"));
    CHECK_THAT(runvm({"--credentials", "a-name-that-is-longer-than-28=" + place.directory() + "/to, ken", "--", "true"}).output,
               ContainsSubstring("give credential 'a-name-that-is-longer-than-28': 29 bytes; QEMU's fw_cfg has room for 28"));
    CHECK_THAT(runvm({"--credentials", "to:ken=" + place.directory() + "/to, ken", "--", "true"}).output,
               ContainsSubstring("not a credential's name"));
}

}  // namespace
