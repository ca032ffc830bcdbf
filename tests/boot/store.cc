// What a guest can and can't do with the store.

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <fstream>

#include "mounts/base/process.h"
#include "tests/boot/machine.h"

namespace {

using boot_test::Boot;
using boot_test::boot;
using boot_test::Machine;
using Catch::Matchers::ContainsSubstring;

// A hash over names, modes, owners, sizes, link targets and contents of everything in the fixture's store.
std::string hash_of_the_host_store() {
    const std::string script = R"sh(cd "$1" && {
find . -printf '%p %m %U %G %s %l %T@\n' | sort
find . -type f -print0 | sort -z | xargs -0 sha256sum
} | sha256sum)sh";
    const std::string store = boot_test::fixture() + "/root/nix/store";
    const auto exit = base::run({.argv = {"/bin/sh", "-c", script, "sh", store}, .capture_output = true});
    REQUIRE(exit);
    REQUIRE(exit->status == 0);
    return exit->output;
}

TEST_CASE("without a union the store is read-only") {
    const Boot b = boot({.store_union = "off", .script = "touch /nix/store/new; echo touch exited $?"});
    CHECK(b.exit_code == 0);
    CHECK_THAT(b.console, ContainsSubstring("Read-only file system") && ContainsSubstring("touch exited 1"));
}

TEST_CASE("with a union on tmpfs the store is writable, and forgets at the next boot") {
    Machine machine;
    const Boot first = machine.boot({.script = "echo hello >/nix/store/new && cat /nix/store/new"});
    CHECK(first.exit_code == 0);
    CHECK_THAT(first.console, ContainsSubstring("hello"));
    CHECK(machine.boot({.script = "test ! -e /nix/store/new"}).exit_code == 0);
}

TEST_CASE("with a union on the disk the store is writable, and the next boot has what was written") {
    Machine machine;
    const Boot first = machine.boot({.store_union = "disk", .script = "echo hello >/nix/store/new"});
    CHECK(first.exit_code == 0);
    const Boot second = machine.boot({.store_union = "disk", .script = "cat /nix/store/new"});
    CHECK(second.exit_code == 0);
    CHECK_THAT(second.console, ContainsSubstring("hello"));
}

TEST_CASE("Nix in the guest knows its store, verifies it and builds in it") {
    const Boot b = boot({.script = R"(set -e
system=$(sed -n 's|.*init=\([^ ]*\)/init.*|\1|p' /proc/cmdline)
echo "closure of $(nix-store -qR $system | wc -l) paths"
nix-store --verify --check-contents && echo verified
bash=$(dirname $(dirname $(readlink -f $(command -v bash))))
cat >/tmp/build.nix <<NIX
derivation {
  name = "built";
  system = "x86_64-linux";
  builder = builtins.storePath $bash + "/bin/bash";
  args = [ "-c" "echo made in the guest > \$out" ];
}
NIX
cat $(nix-build --no-out-link /tmp/build.nix))",
                         .timeout_s = 400});
    CHECK(b.exit_code == 0);
    CHECK_THAT(b.console, ContainsSubstring("closure of 7 paths") && ContainsSubstring("verified") &&
                              ContainsSubstring("made in the guest") && !ContainsSubstring("was modified"));
}

TEST_CASE("a guest's root that tries to change the host's store changes nothing") {
    const std::string before = hash_of_the_host_store();
    const Boot b = boot({.script = R"(mkdir -p /tmp/lower
lower=/nix/.ro-store
mount -o remount,rw $lower && echo REMOUNTED
mount -t 9p -o trans=virtio,version=9p2000.L,rw store /tmp/lower && lower=/tmp/lower
for path in $lower/*; do
    chmod -R u+w $path; chown 1:1 $path; mv $path $path.gone; rm -rf $path
done 2>&1 | tail -n 3
touch $lower/new && echo CREATED; mknod $lower/device b 8 0 && echo MADE
ln -s /etc/passwd $lower/link && echo LINKED
for file in $lower/*/init; do echo x >>$file && echo APPENDED; done
true)"});
    CHECK(b.exit_code == 0);
    CHECK_THAT(b.console, ContainsSubstring("Read-only file system") && !ContainsSubstring("CREATED") &&
                              !ContainsSubstring("MADE") && !ContainsSubstring("LINKED") && !ContainsSubstring("APPENDED"));
    CHECK(hash_of_the_host_store() == before);
}

}  // namespace
