// How the guest gets its store, and what of the host's it sees.

#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <format>
#include <fstream>
#include <sstream>

#include "mounts/base/at.h"
#include "mounts/base/process.h"
#include "tests/boot/machine.h"
#include "tests/boot/own_cache.h"
#include "tests/boot/place.h"

namespace {

namespace fs = std::filesystem;
using namespace boot_test;
using Catch::Matchers::ContainsSubstring;

std::vector<std::string> closure(const std::string &system) {
    std::istringstream text(base::read_file(fixture() + "/" + system + "/closure").value_or(""));
    std::vector<std::string> names;
    for (std::string line; std::getline(text, line);) names.push_back(line.substr(line.rfind('/') + 1));
    return names;
}

std::string name_of_system(const std::string &system) {
    const std::string path = base::read_file(fixture() + "/" + system + "/toplevel").value_or("");
    return path.substr(path.rfind('/') + 1, path.find('\n') - path.rfind('/') - 1);
}

const char *const look_around = R"sh(set -e
system=$(sed -n 's|.*init=\([^ ]*\)/init.*|\1|p' /proc/cmdline)
lower=/nix/.ro-store; [ -e $lower ] || lower=/nix/store
# Nix wants to write /nix/store/.links for that.
if [ $lower = /nix/store ]; then ls -R $lower >/dev/null; else nix-store --verify --check-contents; fi && echo verified
echo "in the store: $(ls $lower | sort | tr '\n' ' ')"
)sh";

std::string listing(const std::string &system) {
    std::string words = "in the store: ";
    for (const auto &name : closure(system)) words += name + " ";
    return words;
}

const char *const is_erofs = R"sh(grep -q " $lower erofs ro," /proc/mounts && echo mounted as erofs
grep -l store /sys/bus/virtio/drivers/9pnet_virtio/*/mount_tag && echo OFFERED OVER 9P
true)sh";

}  // namespace

TEST_CASE("an erofs image of the closure is the store, with each union and with our engine, and is made once") {
    const OwnCache cache;
    for (const std::string store_union : {"off", "tmpfs", "disk", "fuse"}) {
        const bool fuse = store_union == "fuse";
        INFO(store_union);
        const Boot b =
            boot({.store_union = fuse ? "tmpfs" : store_union,
                  .script = std::string(look_around) + is_erofs,
                  .parameters = fuse ? std::vector<std::string>{"stage1.union.engine=fuse"} : std::vector<std::string>{},
                  .arguments = {"--store-kind", "erofs"}});
        CHECK(b.exit_code == 0);
        CHECK_THAT(b.console, ContainsSubstring("verified") && ContainsSubstring(listing("")) &&
                                  ContainsSubstring("mounted as erofs") && !ContainsSubstring("OFFERED"));
        CHECK((b.console.find("making the store's image of 8 paths") != std::string::npos) == (store_union == "off"));
        CHECK(cache.images() == 1);
    }
}

TEST_CASE("a store's image may be compressed, and NixOS's useNixStoreImage is a word for it") {
    const OwnCache cache;
    const Boot b = boot({.store_kind = "auto",
                         .script = std::string(look_around) + is_erofs,
                         .arguments = {"--use-nix-store-image", "--store-compression", "lz4", "--disk-interface", "scsi"}});
    CHECK(b.exit_code == 0);
    CHECK_THAT(b.console, ContainsSubstring("verified") && ContainsSubstring("mounted as erofs"));
}

TEST_CASE("a system of systemd's comes up from an image of its store") {
    const OwnCache cache;
    const Boot b = boot({.system = "systemd",
                         .script = "echo up from $(findmnt -no FSTYPE /nix/.ro-store)",
                         .arguments = {"--store-kind", "erofs"}});
    CHECK(b.exit_code == 0);
    CHECK_THAT(b.console, ContainsSubstring("up from erofs"));
}

TEST_CASE("the guest sees its closure and additionalPaths, and nothing else by name, by traversal or by a descriptor") {
    const std::string hidden = name_of_system("systemd");
    const Boot b = boot({.script = look_around + std::format(R"sh(hidden={}
set +e
for path in /nix/store/$hidden $lower/$hidden $lower/../store/$hidden $lower/../../nix/store/$hidden \
    $lower/$(basename $system)/../$hidden $lower/../$hidden; do cat $path/init >/dev/null 2>&1 && echo READ $path; done
exec 5<$lower
for name in .. ../store ../../nix/store ../../../../nix/store; do
    ls -d /proc/self/fd/5/$name/$hidden 2>/dev/null && echo SEEN
done
(cd $lower; ls -d ../$hidden ../store/$hidden 2>/dev/null && echo SEEN)
touch $lower/new 2>/dev/null && echo WRITTEN
true)sh",
                                                             hidden)});
    CHECK(b.exit_code == 0);
    CHECK_THAT(b.console, ContainsSubstring("verified") && ContainsSubstring(listing("")));
    CHECK_THAT(b.console, !ContainsSubstring("SEEN") && !ContainsSubstring("READ") && !ContainsSubstring("WRITTEN"));
    const Boot more = boot({.script = "ls -d /nix/store/" + hidden, .arguments = {"--paths-in-nix-db", "/nix/store/" + hidden}});
    CHECK(more.exit_code == 0);
    CHECK(boot({.script = "ls -d /nix/store/" + hidden, .arguments = {"--store-view", "all"}}).exit_code == 0);
}

TEST_CASE("an ordinary user's guest sees its closure alone, and its owners are the host's") {
    const OwnCache cache;
    Place place("ls /nix/.ro-store | sort | tr '\\n' ' '; stat -c 'owned by %u' /nix/.ro-store/*-busybox");
    place.before = {"unshare", "--user", "--map-user=1000", "--map-group=1000"};
    const auto exit = place.runvm({"run", "--timeout", "200"});
    INFO(exit.output);
    CHECK(exit.status == 0);
    std::string names;
    for (const auto &name : closure(""))
        if (!name.ends_with("-registration")) names += name + " ";
    CHECK_THAT(exit.output, ContainsSubstring(names) && ContainsSubstring("owned by 1000"));
}

TEST_CASE("where namespaces are denied the guest sees all of the store, and a note says why; a demand is refused") {
    const OwnCache cache;
    Place place("ls -d /nix/store/" + name_of_system("systemd"));
    place.before = {"unshare",
                    "-Ur",
                    "sh",
                    "-c",
                    "echo 0 >/proc/sys/user/max_user_namespaces; exec setpriv --bounding-set=-all --inh-caps=-all \"$@\"",
                    "sh"};
    const auto exit = place.runvm({"run", "--timeout", "200"});
    INFO(exit.output);
    CHECK(exit.status == 0);
    CHECK_THAT(exit.output, ContainsSubstring("the guest sees all of the store: make a view of the store 'user namespace': "));
    const auto refused = place.runvm({"run", "--timeout", "200", "--store-view", "closure"});
    CHECK(refused.status == 124);
    CHECK_THAT(refused.output, ContainsSubstring("this host does not allow one"));
}

TEST_CASE("virtiofsd shares the closure alone with each union, its end is the machine's, and nothing of it stays") {
    const char *const program = std::getenv("VIRTIOFSD");
    if (program == nullptr) SKIP("no virtiofsd: VIRTIOFSD is not set; tests/support/with-machine provides it");
    const std::string before = std::getenv("PATH");
    ::setenv("PATH", (fs::path(program).parent_path().string() + ":" + before).c_str(), 1);
    for (const std::string store_union : {"off", "tmpfs", "disk"}) {
        INFO(store_union);
        const Boot b = boot({.store_union = store_union,
                             .script = look_around + std::string("grep \" $lower virtiofs ro\" /proc/mounts"),
                             .arguments = {"--store-kind", "virtiofs"}});
        CHECK(b.exit_code == 0);
        CHECK_THAT(b.console, ContainsSubstring("verified") && ContainsSubstring(listing("")));
    }
    Place place(
        "ls /nix/.ro-store | wc -l >/tmp/count; cp /tmp/count /tmp/shared/up.part; mv /tmp/shared/up.part /tmp/shared/up; stat "
        "-c 'owned by %u' /nix/.ro-store/*-busybox; sleep 1000");
    place.before = {"unshare", "--user", "--map-user=1000", "--map-group=1000"};
    const pid_t launcher = place.launch({"run", "--timeout", "300", "--store-kind", "virtiofs"});
    CHECK(place.wait_for("up") == "7\n");
    pid_t daemon = 0;
    std::istringstream children(base::read_file(std::format("/proc/{0}/task/{0}/children", launcher), 4096).value_or(""));
    for (pid_t pid = 0; children >> pid;)
        if (base::read_file(std::format("/proc/{}/cmdline", pid), 4096).value_or("").contains("--shared-dir")) daemon = pid;
    REQUIRE(daemon != 0);
    CHECK(::kill(daemon, SIGKILL) == 0);
    CHECK(wait_for_end(launcher) == 123);
    ::setenv("PATH", before.c_str(), 1);
    CHECK_THAT(place.output(), ContainsSubstring("the guest lost its store and ends: virtiofsd has ended"));
    CHECK(fs::is_empty(place.runtime()));
}

TEST_CASE("root's virtiofsd lists more files than it may have descriptors, because it opens them by handle") {
    if (::geteuid() != 0) SKIP("only root may open files by handle");
    const char *const program = std::getenv("VIRTIOFSD");
    if (program == nullptr) SKIP("no virtiofsd: VIRTIOFSD is not set; tests/support/with-machine provides it");
    // A store on tmpfs, which has handles; the fixture may be on something that has none.
    Place place("echo \"$(find /nix/.ro-store ! -newer /proc/1 | wc -l) files\"");
    const std::string store = place.directory() + "/store";
    constexpr const char *script = R"sh(mkdir "$1"; mount -t tmpfs tmpfs "$1"; mkdir -p "$1/nix/var/nix/db"
cp -a "$2/root/nix/store" "$1/nix/"; cp -a "$2/root/nix/var/nix/db/db.sqlite" "$2/root/nix/var/nix/db/schema" "$1/nix/var/nix/db/"
many=$1$(grep -e -tools "$2/closure"); chmod u+w "$many"; mkdir "$many/many"
for i in $(seq 1500); do echo $i >"$many/many/$i"; done
: >"$1/want"; while read -r path; do find "$1$path" >>"$1/want"; done <"$2/closure"
echo "wanted: $(($(grep -vc -- '-registration$' "$1/want") + 1)) files"
ulimit -n 1100; PATH=$3:$PATH; shift 3; exec "$@")sh";
    place.before = {"unshare", "--mount", "sh", "-euc", script, "sh", store, fixture(), fs::path(program).parent_path()};
    const auto exit =
        place.runvm({"run", "--timeout", "240", "--store", store + "/nix/store", "--store-kind", "virtiofs", "--union", "tmpfs"});
    INFO(exit.output);
    CHECK(exit.status == 0);
    const size_t at = exit.output.find("wanted: ") + 8;
    const std::string wanted = exit.output.substr(at, exit.output.find('\n', at) - at);
    CHECK(std::stoi(wanted) > 1500);
    CHECK_THAT(exit.output.substr(at), ContainsSubstring("\n" + wanted));
}

TEST_CASE("virtiofs without a virtiofsd, and with fewer descriptors than the closure has files, is refused in words") {
    Place place;
    const auto none = place.runvm({"run", "--store-kind", "virtiofs", "--name", "none"});
    CHECK(none.status == 124);
    CHECK_THAT(none.output, ContainsSubstring("it was not found: install virtiofsd 1.x in PATH"));
    const char *const program = std::getenv("VIRTIOFSD");
    if (program == nullptr) SKIP("no virtiofsd: VIRTIOFSD is not set; tests/support/with-machine provides it");
    place.before = {"unshare",
                    "--user",
                    "--map-user=1000",
                    "--map-group=1000",
                    "sh",
                    "-c",
                    "ulimit -n 1100; PATH=" + fs::path(program).parent_path().string() + ":$PATH; exec \"$@\"",
                    "sh"};
    const auto few = place.runvm({"run", "--store-kind", "virtiofs", "--name", "few"});
    CHECK(few.status == 124);
    CHECK_THAT(few.output, ContainsSubstring("the store has more files than virtiofsd may have descriptors (1100)"));
}
