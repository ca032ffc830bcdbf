// The guest's own garbage collector: with each kind of store it removes the machine's own garbage, and never walks through the
// host's store.

#include <catch_amalgamated.hpp>
#include <cstdlib>
#include <filesystem>
#include <format>

#include "tests/boot/machine.h"
#include "tests/boot/own_cache.h"

namespace {

namespace fs = std::filesystem;
using namespace boot_test;
using Catch::Matchers::ContainsSubstring;

// The registration is in the store but does not register itself, so the collector sees it as garbage: the only such path of the
// host's.
constexpr const char *collect_in_guest = R"sh(set -e
system=$(sed -n 's|.*init=\([^ ]*\)/init.*|\1|p' /proc/cmdline)
mkdir -p /nix/var/nix/gcroots; ln -s $system /nix/var/nix/gcroots/system
mkdir /tmp/garbage; for i in $(seq 30); do mkdir /tmp/garbage/$i; echo $i >/tmp/garbage/$i/file; done
nix-store --add /tmp/garbage/* >/tmp/added
begin=${EPOCHREALTIME/./}
nix-store --gc >/tmp/said 2>&1 || { tail -n 5 /tmp/said; exit 1; }
echo "collected in $(((${EPOCHREALTIME/./} - begin) / 1000)) ms: $(tail -n 1 /tmp/said)"
for path in $(cat /tmp/added); do [ ! -e $path ] || exit 1; done
nix-store --verify 2>&1 | grep -v 'reading\|checking\|nss_dns' && exit 1
echo "of the host's: $(find /nix/.rw-store/upper -maxdepth 1 -type c | wc -l)"
)sh";

}  // namespace

TEST_CASE(
    "nix-store --gc in a guest removes what the machine added, over each kind of store, and looks at nothing of the host's") {
    const std::string kind = GENERATE("9p", "virtiofs", "erofs");
    const OwnCache cache;
    INFO(kind);
    const std::string before = std::getenv("PATH");
    if (kind == "virtiofs") {
        const char *const program = std::getenv("VIRTIOFSD");
        if (program == nullptr) SKIP("no virtiofsd: VIRTIOFSD is not set; tests/support/with-machine provides it");
        ::setenv("PATH", (fs::path(program).parent_path().string() + ":" + before).c_str(), 1);
    }
    const Boot b = boot({.script = collect_in_guest, .arguments = {"--store-kind", kind}, .timeout_s = 400});
    ::setenv("PATH", before.c_str(), 1);
    CHECK(b.exit_code == 0);
    CHECK_THAT(b.console, ContainsSubstring("31 store paths deleted") && ContainsSubstring("of the host's: 1"));
}
