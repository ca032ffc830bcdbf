// The host's garbage collector, from a real Nix, while a machine runs.

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>
#include <fstream>

#include "mounts/base/at.h"
#include "mounts/base/process.h"
#include "tests/boot/machine.h"

namespace {

namespace fs = std::filesystem;
using namespace boot_test;

// $1 a scratch directory, $2 the fixture, $3 the directory of runvm, $4 the mode: root or daemon. Runs in a mount
// namespace with a copy of the fixture's store at /nix, and in a PID namespace, because Nix's collector keeps what any process
// that it sees has open, and other tests' machines have the fixture's. The test asserts every line of its output.
constexpr const char *collect_while_it_runs = R"sh(
work=$1 fixture=$2 build=$3 how=$4
mkdir -p $work/root/nix/store $work/run $work/shared /nix
for path in $(cat $fixture/closure); do cp -a $fixture/root$path $work/root/nix/store/; done
cp -a $fixture/root/nix/var $work/root/nix/
rm -f $work/root/nix/var/nix/gcroots/auto/* # of machines that had the fixture as their store
mount --bind $work/root/nix /nix
echo garbage >$work/garbage
garbage=$(nix-store --add $work/garbage)
qemu-img create -q -f qcow2 $work/base 256M
base=$(nix-store --add $work/base)
qemu-img create -q -f qcow2 -b $base -F qcow2 $work/disk
[ $how = root ] || chmod 666 $work/disk
export XDG_RUNTIME_DIR=$work/run SHARED_DIR=$work/shared NIX_DISK_IMAGE=$work/disk XDG_CACHE_HOME=$work
toplevel=$(cat $fixture/toplevel)
echo 'touch /tmp/shared/up; until [ -e /tmp/shared/go ]; do sleep 1; done
echo 3 >/proc/sys/vm/drop_caches; cat /nix/store/*-nix-2.8/bin/nix | wc -c; find /nix/store | wc -l; touch /tmp/shared/read' >$work/shared/cmd
user=
if [ $how = daemon ]; then
    # An ordinary user may not write here, and this one only looks like root to us.
    chmod 555 /nix/var/nix/temproots
    nix-daemon >$work/daemon.log 2>&1 &
    daemon=$!
    until [ -S /nix/var/nix/daemon-socket/socket ]; do sleep 0.1; done
    user="env NIX_REMOTE=daemon unshare --user --map-user=1000 --map-group=1000"
fi
$user $build/runvm start --name gc --accel tcg --timeout 300 --toplevel $toplevel --backing-file $base
for i in $(seq 240); do [ -e $work/shared/up ] && break; sleep 1; done
nix-store --gc >$work/gc.log 2>&1
[ -e $garbage ] || echo "what is garbage goes"
for path in $(cat $fixture/closure); do
    case $path in *-registration) continue ;; esac
    [ -e $path ] || echo "LOST $path"
done
[ -e $base ] || echo "LOST $base"
touch $work/shared/go
for i in $(seq 120); do [ -e $work/shared/read ] && echo "the guest reads on" && break; sleep 1; done
$user $build/runvm stop --now gc
nix-store --gc >>$work/gc.log 2>&1
[ -e $toplevel ] || [ -e $base ] || echo "and with the machine its store"
[ $how = root ] || kill $daemon
)sh";

void collect(const std::string &how) {
    std::string pattern = (fs::temp_directory_path() / "store-gc.XXXXXX").string();
    REQUIRE(::mkdtemp(pattern.data()) != nullptr);
    const auto exit = base::run({.argv = {"unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c",
                                          collect_while_it_runs, "bash", pattern, fixture(), build_directory().string(), how},
                                 .capture_output = true});
    const std::string log = base::read_file(pattern + "/gc.log").value_or("");
    (void)base::run({.argv = {"sh", "-c", "chmod -R u+w \"$0\"; rm -rf \"$0\"", pattern}});
    REQUIRE(exit);
    INFO(exit->output << log);
    CHECK(exit->output.contains("what is garbage goes"));
    CHECK_FALSE(exit->output.contains("LOST"));
    CHECK(exit->output.contains("the guest reads on"));
    CHECK(exit->output.contains("and with the machine its store"));
    CHECK_FALSE(exit->output.contains("garbage collector may delete"));
}

}  // namespace

TEST_CASE("the host's garbage collector leaves a running machine its closure, for which root writes a file of roots") {
    collect("root");
}

TEST_CASE("the host's garbage collector leaves a running machine its closure, which an ordinary user asks the daemon for") {
    collect("daemon");
}
