// A QEMU that root starts and that becomes another user, observed from outside: the kernel's view of the process.

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <csignal>
#include <filesystem>
#include <format>
#include <fstream>
#include <sstream>

#include "mounts/base/at.h"
#include "tests/boot/place.h"

namespace {

namespace fs = std::filesystem;
using namespace boot_test;
using Catch::Matchers::ContainsSubstring;

constexpr unsigned number = 61'234;  // of no user
const std::string user = std::format("{0}:{0}", number);

// A line of proc_pid_status(5), with single spaces between its words.
std::string status_line(pid_t pid, const std::string &key) {
    std::ifstream file(std::format("/proc/{}/status", pid));
    for (std::string line; std::getline(file, line);) {
        if (!line.starts_with(key + ":")) continue;
        std::istringstream words(line.substr(key.size() + 1));
        std::string text;
        for (std::string word; words >> word;) text += (text.empty() ? "" : " ") + word;
        return text;
    }
    return "no " + key;
}

void must_be_root() {
    if (::geteuid() != 0) SKIP("only root can run QEMU as another user");
}

TEST_CASE("a QEMU that root starts with --run-as is that user, without a capability and behind a filter") {
    must_be_root();
    // Of /etc/passwd, and able to read none of the files below by itself.
    const passwd *daemon = ::getpwnam("daemon");
    REQUIRE(daemon != nullptr);
    const unsigned uid = daemon->pw_uid;
    Place place(R"sh(echo of the guest >/tmp/xchg/x; cat /tmp/xchg/x >/tmp/shared/new
cat /sys/firmware/qemu_fw_cfg/by_name/opt/io.systemd.credentials/token/raw >>/tmp/shared/new
cat /etc/ssl/certs/ca-certificates.crt >>/tmp/shared/new
grep -c '' /sys/class/tpm/tpm0/pcr-sha256/0 >>/tmp/shared/new
mv /tmp/shared/new /tmp/shared/up
echo >/nix/written; sync; sleep 1000)sh");
    std::ofstream(place.directory() + "/token") << "hush\n";
    std::ofstream(place.directory() + "/ours.crt") << "a certificate\n";
    for (const char *file : {"/token", "/ours.crt"}) fs::permissions(place.directory() + file, fs::perms::owner_read);
    fs::permissions(place.directory(), fs::perms::owner_all);  // existing files are opened before the change of user
    REQUIRE(::chown(place.shared().c_str(), uid, uid) == 0);
    place.before = {"/usr/bin/env", "NIX_SSL_CERT_FILE=" + place.directory() + "/ours.crt"};
    const pid_t run =
        place.launch({"run", "--name", "other", "--run-as", "daemon", "--credentials", "token=" + place.directory() + "/token",
                      "--use-host-certs", "--tpm", "--tpm-state-directory", place.directory() + "/tpm", "--timeout", "300"});
    CHECK(place.wait_for("up") == "of the guest\nhush\na certificate\n1\n");
    const pid_t qemu = Place::qemu_of(run);
    REQUIRE(qemu != 0);
    const std::string all = std::format("{0} {0} {0} {0}", uid), none = "0000000000000000";
    CHECK(status_line(qemu, "Uid") == all);
    CHECK(status_line(qemu, "Gid") == all);
    CHECK(status_line(qemu, "Groups") == std::to_string(daemon->pw_gid));
    for (const auto *set : {"CapInh", "CapPrm", "CapEff", "CapAmb"}) CHECK(status_line(qemu, set) == none);
    CHECK(status_line(qemu, "NoNewPrivs") == "1");
    CHECK(status_line(qemu, "Seccomp") == "2");
    // That user owns the guest's files; root still owns the disk.
    struct stat made{}, disk{};
    REQUIRE(::stat((place.shared() + "/up").c_str(), &made) == 0);
    CHECK(made.st_uid == uid);
    REQUIRE(::stat(place.disk().c_str(), &disk) == 0);
    CHECK(disk.st_uid == 0);
    CHECK((disk.st_mode & 07777) == 0600);
    // When a child changes its user, the kernel clears its parent-death signal.
    REQUIRE(::kill(run, SIGKILL) == 0);
    CHECK(wait_for_end(run) == 128 + SIGKILL);
    CHECK(within(20, [&] { return !alive(qemu); }));
}

TEST_CASE("a machine whose QEMU is another user reboots, ends with its status, and leaves nothing", "[.long]") {
    must_be_root();
    Place place(R"sh([ -e /tmp/shared/once ] || { touch /tmp/shared/once; sync; reboot -f; sleep 100; }
touch /tmp/shared/twice; exit 7)sh");
    REQUIRE(::chown(place.shared().c_str(), number, number) == 0);
    const auto exit = place.runvm({"run", "--name", "other", "--run-as", user, "--allow-reboot", "--timeout", "300"});
    INFO(exit.output);
    CHECK(exit.status == 7);
    CHECK(fs::exists(place.shared() + "/twice"));
    CHECK(fs::is_empty(place.runtime()));
}

TEST_CASE("what a QEMU that is another user could not do is refused before anything is made, or noted") {
    must_be_root();
    const Place place("exit 0");
    const auto said = [&](std::vector<std::string> more) {
        std::vector<std::string> words{"run", "--name", "other", "--print", "--run-as"};
        for (auto &word : more) words.push_back(std::move(word));
        return place.runvm(words).output;
    };
    CHECK_THAT(said({"nobody-there"}), ContainsSubstring("find user 'nobody-there': expected a name of /etc/passwd, or UID:GID"));
    CHECK_THAT(said({user, "--vlans", "1"}),
               ContainsSubstring("run as '" + user + "': as this user, QEMU can't reach the vlan's switch"));
    CHECK_THAT(said({user, "--store-kind", "virtiofs"}), ContainsSubstring("virtiofsd"));
    CHECK_THAT(said({std::to_string(number) + ":0"}), ContainsSubstring("group is root's"));
    const std::string printed = said({user});
    CHECK_THAT(printed, ContainsSubstring("-run-with user=" + user) && ContainsSubstring("chown " + user));
    CHECK_THAT(printed, !ContainsSubstring("elevateprivileges"));
    CHECK_FALSE(fs::exists(place.disk()));
    // The shared directory belongs to root.
    const auto exit = place.runvm({"run", "--name", "other", "--run-as", user, "--timeout", "1"});
    CHECK_THAT(exit.output,
               ContainsSubstring(user + " may not read and write " + place.shared() + ", so the guest can't either"));
}

}  // namespace
