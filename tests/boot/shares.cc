// How a shared directory stores the guest's owners and links: its security model decides.

#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <catch_amalgamated.hpp>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <format>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "mounts/base/at.h"
#include "tests/boot/machine.h"
#include "tests/boot/own_cache.h"
#include "tests/boot/place.h"

namespace {

namespace fs = std::filesystem;
using namespace boot_test;
using Catch::Matchers::ContainsSubstring;
using Json = nlohmann::json;

uid_t owner_on_host(const std::string &path) {
    struct stat status{};
    REQUIRE(::lstat(path.c_str(), &status) == 0);
    return status.st_uid;
}

// The owner that mapped-xattr stores in an attribute; -1: none.
int mapped_owner(const std::string &path) {
    std::array<unsigned char, 4> uid{};  // little endian
    if (::lgetxattr(path.c_str(), "user.virtfs.uid", uid.data(), uid.size()) != static_cast<ssize_t>(uid.size())) return -1;
    return uid[0] | uid[1] << 8 | uid[2] << 16 | uid[3] << 24;
}

TEST_CASE("a guest's chown is real on the host, or kept beside the file, as the share's security model says") {
    if (::geteuid() != 0) SKIP("needs root, for QEMU to give files away");
    Place place(R"sh(
for model in none passthrough mapped-xattr mapped-file; do
    cd /mnt/$model
    echo words >file
    chown 1234:1234 file
    ln -s file link
    echo "$model: $(stat -c %u file) $(readlink link)"
done)sh");
    Json shares = Json::array();
    for (const char *model : {"none", "passthrough", "mapped-xattr", "mapped-file"}) {
        const std::string source = place.directory() + "/" + model;
        fs::create_directory(source);
        shares.push_back(
            {{"tag", model}, {"source", source}, {"target", std::string("/mnt/") + model}, {"securityModel", model}});
    }
    const std::string file = place.directory() + "/machine.json";
    std::ofstream(file) << Json{{"sharedDirectories", shares}}.dump();
    const auto exit = place.runvm({"run", "--timeout", "240", "--config", file, "--disk-image", ""});
    CHECK(exit.status == 0);
    for (const char *model : {"none", "passthrough", "mapped-xattr", "mapped-file"}) {
        const bool real = std::string_view(model) == "none" || std::string_view(model) == "passthrough";
        const std::string source = place.directory() + "/" + model;
        INFO(model);
        CHECK_THAT(exit.output, ContainsSubstring(std::format("{}: 1234 file", model)));
        CHECK(owner_on_host(source + "/file") == (real ? 1234 : 0));
        CHECK(fs::is_symlink(source + "/link") == real);
        CHECK(mapped_owner(source + "/file") == (std::string_view(model) == "mapped-xattr" ? 1234 : -1));
        CHECK(fs::exists(source + "/.virtfs_metadata/file") == (std::string_view(model) == "mapped-file"));
    }
}

// virtiofsd in PATH, or the test is skipped.
class WithVirtiofsd {
  public:
    WithVirtiofsd() : before_(std::getenv("PATH")) {
        const char *const program = std::getenv("VIRTIOFSD");
        if (program == nullptr) SKIP("no virtiofsd: VIRTIOFSD is not set; tests/support/with-machine provides it");
        ::setenv("PATH", (fs::path(program).parent_path().string() + ":" + before_).c_str(), 1);
    }
    WithVirtiofsd(const WithVirtiofsd &) = delete;
    WithVirtiofsd &operator=(const WithVirtiofsd &) = delete;
    ~WithVirtiofsd() { ::setenv("PATH", before_.c_str(), 1); }

  private:
    std::string before_;
};

pid_t server_of(pid_t launcher, const std::string &directory) {
    std::istringstream children(base::read_file(std::format("/proc/{0}/task/{0}/children", launcher), 4096).value_or(""));
    for (pid_t pid = 0; children >> pid;)
        if (base::read_file(std::format("/proc/{}/cmdline", pid), 4096).value_or("").contains("--shared-dir=" + directory + '\0'))
            return pid;
    return 0;
}

std::string shares_file(const Place &place) {
    for (const char *name : {"ro", "rw", "nine"}) fs::create_directory(place.directory() + "/" + name);
    std::ofstream(place.directory() + "/ro/of-host") << "words of the host\n";
    const auto share = [&](const char *name, Json more) {
        more.update({{"source", place.directory() + "/" + name}, {"target", std::string("/mnt/") + name}});
        return more;
    };
    std::ofstream(place.directory() + "/machine.json") << Json{
        {"shareKind", "virtiofs"},
        {"sharedDirectories",
         {{"ro", share("ro", {{"readOnly", true}})},
          {"rw", share("rw", {{"securityModel", "none"}})},
          {"nine", share("nine", {{"proto", "9p"}})}}}}.dump();
    return place.directory() + "/machine.json";
}

TEST_CASE("directories come over virtiofs, each as its description says, and their server's end is the machine's") {
    const WithVirtiofsd here;
    Place place(R"sh(set -e
for at in /tmp/xchg /tmp/shared /mnt/ro /mnt/rw /mnt/nine; do grep " $at " /proc/mounts | sed 's/^\([^ ]* [^ ]* [^ ]*\) .*/\1;/'; done
cat /mnt/ro/of-host
for path in /mnt/ro/new /mnt/ro/of-host; do if touch $path; then echo "WRITTEN $path"; fi; done
if mount -o remount,rw /mnt/ro && touch /mnt/ro/new; then echo WRITTEN; fi
cd /mnt/rw
mkdir d; echo of the guest >file; ln -s d/file link; ln file hard; mv file d/; chmod 640 d/file; chown 1234:1234 d/file
echo "$(cat link) $(stat -c '%u %h %a' hard)"
ls -d /mnt/rw/../../*/ro/../.. >/dev/null
echo in xchg >/tmp/xchg/x; cat /tmp/xchg/x
cp -r /mnt/rw /tmp/shared/copy
until [ -e /tmp/shared/answer ]; do [ -e /tmp/shared/up ] || touch /tmp/shared/up; sleep 0.2; done
cat /tmp/shared/answer; sleep 1000)sh");
    fs::permissions(place.shared(), fs::perms::owner_all);
    const std::string config = shares_file(place);
    const pid_t launcher = place.launch({"run", "--timeout", "300", "--config", config, "--disk-image", ""});
    place.wait_for("up");
    std::ofstream(place.shared() + "/answer.part") << "an answer of the host\n";
    fs::rename(place.shared() + "/answer.part", place.shared() + "/answer");
    CHECK(within(60, [&] { return place.output().contains("an answer of the host"); }));
    struct stat made{};
    CHECK(::stat((place.directory() + "/rw/d/file").c_str(), &made) == 0);
    CHECK(made.st_uid == 1234);
    CHECK(made.st_nlink == 2);
    CHECK((made.st_mode & 07777) == 0640);
    CHECK(fs::read_symlink(place.directory() + "/rw/link") == "d/file");
    CHECK(base::read_file(place.shared() + "/copy/d/file").value_or("") == "of the guest\n");
    const pid_t server = server_of(launcher, place.directory() + "/rw");
    REQUIRE(server != 0);
    CHECK(::kill(server, SIGKILL) == 0);
    CHECK(wait_for_end(launcher) == 123);
    const std::string said = place.output();
    INFO(said);
    for (const char *line :
         {"xchg /tmp/xchg virtiofs;", "shared /tmp/shared virtiofs;", "ro /mnt/ro virtiofs;", "rw /mnt/rw virtiofs;",
          "nine /mnt/nine 9p;", "words of the host", "of the guest 1234 2 640", "in xchg"})
        CHECK_THAT(said, ContainsSubstring(line));
    CHECK_THAT(said, !ContainsSubstring("WRITTEN"));
    CHECK_THAT(said, ContainsSubstring("the guest lost a shared directory and ends: virtiofsd of rw has ended"));
    CHECK(fs::is_empty(place.runtime()));
    CHECK_FALSE(fs::exists(place.directory() + "/ro/new"));
}

TEST_CASE("an ordinary user's directories come over virtiofs, and what anybody makes there is that user's") {
    const WithVirtiofsd here;
    Place place(R"sh(set -e
grep " /tmp/shared " /proc/mounts
umask 0; mkdir /tmp/shared/d; echo root >/tmp/shared/d/of-root
echo 'echo other >/tmp/shared/d/of-another; mkdir /tmp/shared/d/e; mv /tmp/shared/d/of-another /tmp/shared/d/e/' >/tmp/other
chmod 755 /tmp/other; echo other:x:4321:4321::/:/bin/sh >>/etc/passwd; start-stop-daemon -S -p /tmp/none.pid -c other -a "$(readlink -f "$(command -v bash)")" -- /tmp/other
stat -c '%n is of %u' /tmp/shared/d/of-root /tmp/shared/d/e/of-another)sh");
    place.before = {"unshare", "--user", "--map-user=1000", "--map-group=1000"};
    const auto exit = place.runvm({"run", "--timeout", "240", "--share-kind", "virtiofs", "--disk-image", ""});
    INFO(exit.output);
    CHECK(exit.status == 0);
    CHECK_THAT(exit.output, ContainsSubstring("shared /tmp/shared virtiofs") &&
                                ContainsSubstring("/tmp/shared/d/of-root is of 1000") &&
                                ContainsSubstring("/tmp/shared/d/e/of-another is of 1000"));
    CHECK(base::read_file(place.shared() + "/d/e/of-another").value_or("") == "other\n");
    CHECK(owner_on_host(place.shared() + "/d/e/of-another") == ::geteuid());
    CHECK(fs::is_empty(place.runtime()));
}

// A copy of the fixture's modules without those of 9p, as in Debian's kernel for clouds.
std::string modules_without_9p(const Place &place) {
    std::string of_system = fs::read_symlink(fixture() + "/root" + fixture_toplevel() + "/kernel-modules");
    if (of_system.starts_with("/nix/store")) of_system.insert(0, fixture() + "/root");
    (void)must_run({"sh", "-c", R"sh(set -e
cp -r "$0" "$1"; chmod -R u+w "$1"; cd "$1"/lib/modules/*
find . -name '9p*' -delete; sed -i /9p/d modules.dep modules.alias modules.softdep)sh",
                    of_system, place.directory() + "/modules"});
    return place.directory() + "/modules";
}

TEST_CASE("with a kernel that has no 9p, a machine needs it nowhere if its shares come over virtiofs") {
    const WithVirtiofsd here;
    const OwnCache cache;
    const std::string store = GENERATE("erofs", "virtiofs");
    Place place(R"sh(set -e
grep -E ' /(nix/store|tmp/xchg|tmp/shared) ' /proc/mounts
if grep -w 9p /proc/filesystems; then echo "9P IS THERE"; fi
touch /nix/store/new; echo kept >/tmp/shared/file)sh");
    fs::permissions(place.shared(), fs::perms::owner_all);
    const std::vector<std::string> run{"run",     "--timeout", "240", "--disk-image", "", "--modules", modules_without_9p(place),
                                       "--union", "tmpfs"};
    std::vector<std::string> words = run;
    words.insert(words.end(), {"--share-kind", "virtiofs", "--store-kind", store});
    const auto exit = place.runvm(words);
    INFO(exit.output);
    CHECK(exit.status == 0);
    CHECK_THAT(exit.output, ContainsSubstring("shared /tmp/shared virtiofs") && !ContainsSubstring("9P IS THERE"));
    CHECK(base::read_file(place.shared() + "/file").value_or("") == "kept\n");
    const auto refused = place.runvm(run);
    CHECK(refused.status == 124);
    CHECK_THAT(refused.output,
               ContainsSubstring("share nothing over 9p: --share-kind virtiofs, and --store-kind erofs or virtiofs"));
}

}  // namespace
