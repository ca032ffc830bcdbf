// Real Nix of several versions, asked about databases that we made.
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <filesystem>

#include "hostside/nixdb/closure.h"
#include "mounts/base/at.h"
#include "tests/support/nix_root.h"

namespace {

namespace fs = std::filesystem;
using nix_test::lines;
using nix_test::Nix;
using nix_test::Root;

}  // namespace

TEST_CASE("real Nix of several versions finds nothing to complain of, and the host's dump is theirs byte for byte") {
    const std::string suite = GENERATE("bookworm", "trixie", "sid");
    const Nix nix(suite);
    if (::access("/bin/busybox", X_OK) < 0) SKIP("a build needs /bin/busybox");
    const Root root;
    const std::string source = root.path + "/source";
    const std::string target = root.path + "/target";
    fs::create_directories(source);
    fs::copy_file("/bin/busybox", source + "/busybox");
    REQUIRE(base::replace_file(source + "/default.nix", R"(let
  make = name: needs: derivation {
    inherit name; system = builtins.currentSystem; builder = "${./.}/busybox";
    args = [ "sh" "-c" "echo ${name} ${toString needs} $out > $out" ];
  };
in make "top" [ (make "a" [ (make "b" [ ]) ]) (make "c" [ ]) ]
)"));
    const std::string first = root.path + "/first";
    nix("nix-build", first, {source, "--no-out-link"});
    const std::string top =
        lines(nix("nix-store", first, {"-q", "--references", lines(nix("nix-build", first, {source, "--no-out-link"})).back()}))
            .back();
    const std::string drv = lines(nix("nix-store", first, {"-q", "--deriver", top})).back();
    auto closure_words = lines(nix("nix-store", first, {"-qR", top, drv}));
    closure_words.insert(closure_words.begin(), "--dump-db");
    const std::string dump = nix("nix-store", first, closure_words);

    std::string ours;
    const auto infos = hostside::nixdb::closure(first + "/nix/var/nix/db/db.sqlite", {top, drv});
    REQUIRE(infos);
    for (const auto &info : *infos) print(ours, info, mounts::RegistrationFormat::dump_db);
    CHECK(ours == dump);

    for (const auto format : {mounts::RegistrationFormat::dump_db, mounts::RegistrationFormat::registration}) {
        fs::remove_all(target);
        fs::create_directories(target + "/nix");
        fs::copy(first + "/nix/store", target + "/nix/store", fs::copy_options::recursive | fs::copy_options::copy_symlinks);
        std::string text;
        for (const auto &info : *infos) print(text, info, format);
        REQUIRE(base::replace_file(target + "/reg", text));
        const auto report = stage1::nixdb::register_closure({.target_root = target, .reginfo = "/reg"});
        REQUIRE(report);
        CHECK(nix("nix-store", target, {"--verify", "--check-contents"}).find("error") == std::string::npos);
        CHECK(nix("nix-store", target, {"-q", "--referrers", top}) == nix("nix-store", first, {"-q", "--referrers", top}));
        if (format == mounts::RegistrationFormat::dump_db) CHECK(nix("nix-store", target, closure_words) == dump);
        CHECK_NOTHROW(nix("nix-store", target, {"--gc", "--print-roots"}));
        CHECK_NOTHROW(nix("nix-build", target, {source, "--no-out-link", "--check"}));
    }
}
