// A guest whose root attacks its host. The launcher runs unprivileged in a user namespace, so QEMU's security_model is none,
// and the guest's files are real on the host.

#include <sys/stat.h>

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <fstream>

#include "hostside/host/guest_files.h"
#include "hostside/run/console_log.h"
#include "mounts/base/at.h"
#include "tests/boot/machine.h"
#include "tests/boot/place.h"

namespace {

namespace fs = std::filesystem;
using namespace boot_test;
using Catch::Matchers::ContainsSubstring;

const std::vector<std::string> no_one{"unshare", "--user", "--map-user=1000", "--map-group=1000"};

std::string refusal(const std::string &directory, const std::string &name) {
    const auto text = hostside::read_from_guest(directory, name, 1000);
    return text ? "read: " + *text : base::message(text.error());
}

TEST_CASE("nothing that a guest left in its shared directory is followed, waited for or read without end") {
    Place place(R"sh(cd /tmp/shared
ln -s /etc/passwd symlink; ln -s /etc etc; mkfifo fifo; echo secret >first; ln first hard; mkdir directory
truncate -s 1024G huge; echo content >$'a\nname'
mknod device c 1 5 || echo no device
ls -l)sh");
    place.before = no_one;
    const auto exit = place.runvm({"run", "--timeout", "200", "--name", "evil"});
    INFO(exit.output);
    REQUIRE(exit.status == 0);
    const std::string s = place.shared();
    CHECK(fs::is_symlink(s + "/symlink"));  // real ones; otherwise this test shows nothing
    CHECK(fs::is_fifo(s + "/fifo"));
    const std::string left = " instead of a file; runvm does not read it";
    CHECK(refusal(s, "symlink") == "read from the guest 'symlink': it is a symlink" + left);
    CHECK(refusal(s, "etc/passwd") == "read from the guest 'etc/passwd': Symbolic link loop");
    CHECK(refusal(s, "fifo") == "read from the guest 'fifo': it is a FIFO" + left);
    CHECK(refusal(s, "directory") == "read from the guest 'directory': it is a directory" + left);
    CHECK(refusal(s, "hard") ==
          "read from the guest 'hard': it is a hard link, maybe to another user's file; runvm does not read it");
    CHECK(refusal(s, "huge") ==
          "read from the guest 'huge': it has 1099511627776 bytes, and the limit is 1000; runvm does not read it");
    CHECK(refusal(s, "a\nname") == "read: content\n");
    CHECK_THAT(exit.output, ContainsSubstring("no device"));
    CHECK(fs::is_empty(place.runtime()));
}

TEST_CASE("a guest can neither put a file of the host's in its report's place nor keep its xchg from going away") {
    Place place(R"sh(cd /tmp/xchg
rm -f stage1-report.json; ln -s /etc/passwd stage1-report.json
ln -s / $'out\nside'; mkfifo fifo; truncate -s 1024G huge
for i in {1..50}; do mkdir deep && cd deep || break; done; chmod 0 .; cd /tmp/xchg
mkdir closed; touch closed/file; chmod 0 closed; chmod 0500 .)sh");
    place.before = no_one;
    const std::string report = place.directory() + "/report.json";
    const auto exit = place.runvm({"run", "--timeout", "200", "--name", "evil", "--report", report});
    CHECK(exit.status == 0);
    CHECK_THAT(exit.output,
               ContainsSubstring(
                   "no " + report +
                   ": read from the guest 'stage1-report.json': it is a symlink instead of a file; runvm does not read it"));
    CHECK_FALSE(fs::exists(report));
    CHECK(fs::is_empty(place.runtime()));
}

TEST_CASE("what a guest sends through its status port is bounded, printable, and heard once") {
    const Place place(R"sh(
for port in /sys/class/virtio-ports/*; do
    [ "$(cat $port/name)" = org.nixos.runvm.status ] || continue
    exec 4<>/dev/${port##*/}
    head -c 300000 /dev/zero | tr '\0' x >&4
    printf '\nexit -1\nexit 5 \nready\001\n' >&4
    head -c 50000 /dev/urandom >&4
    printf '\n' >&4
    for i in {1..300}; do echo ready; done >&4
    printf 'stage1-failed \033[2J\033]0;title\007\302\233me\342\200\256\n' >&4
done
sleep 1000)sh");
    const pid_t run = place.launch({"run", "--name", "evil", "--json", "--timeout", "300"});
    // The guest reported that stage 1 failed, and nobody is at the console, so the launcher ends it soon.
    CHECK(wait_for_end(run) == 120);
    const std::string output = place.output();
    const auto count = [&](std::string_view event) {
        size_t n = 0;
        for (size_t at = 0; (at = output.find(event, at)) != std::string::npos; ++at) ++n;
        return n;
    };
    CHECK(count(R"("event":"ready")") == 1);
    CHECK(count(R"("event":"guest-exit")") == 0);
    CHECK_THAT(output, ContainsSubstring(R"("event":"stage1-failed")") && ContainsSubstring("?[2J?]0;title??me?"));
    CHECK(fs::is_empty(place.runtime()));
}

// An emulated serial port needs a minute for this, so this test runs only by name.
TEST_CASE("a console that never ends costs the host a bounded log", "[.long]") {
    const Place place("yes | tr '\\n' y >/dev/console");
    REQUIRE(place.runvm({"start", "--name", "evil"}).status == 0);
    const std::string directory = place.runtime() + "/evil/";
    const std::string before = directory + std::string(hostside::console_log_before);
    REQUIRE(within(300, [&] { return fs::exists(before); }));
    CHECK(fs::file_size(before) <= hostside::console_log_limit_bytes);
    CHECK(fs::file_size(directory + std::string(hostside::console_log)) <= hostside::console_log_limit_bytes);
    CHECK(place.runvm({"logs", "evil"}).status == 0);
    CHECK(place.runvm({"stop", "--now", "evil"}).status == 0);
}

}  // namespace
