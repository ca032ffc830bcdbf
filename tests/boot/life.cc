// The life of a machine: start, list, query, stop, and being killed in every way.

#include <fcntl.h>
#include <pty.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <catch_amalgamated.hpp>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <format>
#include <fstream>
#include <vector>

#include "mounts/base/at.h"
#include "mounts/base/fd.h"
#include "tests/boot/machine.h"
#include "tests/boot/place.h"

namespace {

namespace fs = std::filesystem;
using namespace boot_test;
using Catch::Matchers::ContainsSubstring;

bool nothing_left(const Place &place) { return fs::is_empty(place.runtime()); }

// All settings of a terminal, without padding.
std::vector<unsigned> settings_of(const termios &t) {
    std::vector<unsigned> settings{t.c_iflag, t.c_oflag, t.c_cflag, t.c_lflag, ::cfgetispeed(&t), ::cfgetospeed(&t)};
    settings.insert(settings.end(), std::begin(t.c_cc), std::end(t.c_cc));
    return settings;
}

TEST_CASE("a machine in the background is listed, asked, joined, kept from others and shut down by its power button") {
    const Place place(R"(
button=$(grep -l 'Power Button' /sys/class/input/event*/device/name); button=${button%/device/name}
exec 5</dev/input/${button##*/}
(read -r line </dev/console; echo "the guest read $line") &
touch /tmp/shared/up
dd of=/dev/null bs=24 count=1 <&5 2>/dev/null
echo the button was pressed)");
    const auto start = place.runvm({"start", "--name", "web", "--module", "button", "--module", "evdev"});
    INFO(start.output);
    REQUIRE(start.status == 0);
    const pid_t holder = place.holder("web");
    CHECK(place.runvm({"list", "--names"}).output == "web\n");
    const std::string listed = place.runvm({"list"}).output;
    CHECK_THAT(listed, ContainsSubstring("NAME  STATE ") && ContainsSubstring("\nweb   ") &&
                           ContainsSubstring(std::format("  1024 MiB  {:>8}  -\n", holder)));
    CHECK_THAT(place.runvm({"status", "web"}).output, ContainsSubstring(std::format("web: running, pid {}, at: ", holder)));
    CHECK_THAT(place.runvm({"qmp", "web", "query-name"}).output, ContainsSubstring(R"({"return": {"name": "web"}})"));

    const auto refusal = std::format("in use by the runvm with pid {}; stop that one, or use another", holder);
    const auto same_image = place.runvm({"run", "--name", "other"});
    CHECK(same_image.status == 124);
    CHECK(same_image.output == std::format("runvm: lock '{}': {}\n", place.disk(), refusal));
    const auto same_name = place.runvm({"start", "--name", "web"});
    CHECK(same_name.status == 124);
    CHECK(same_name.output == std::format("runvm: lock 'machine web': {}\n", refusal));

    (void)place.wait_for("up");
    std::array<int, 2> keys{};
    REQUIRE(::pipe2(keys.data(), O_CLOEXEC) == 0);
    const base::Fd typed(keys[0]);
    base::Fd typing(keys[1]);
    auto console = base::start({.argv = place.words({"console", "web"}), .standard_input = typed.get(), .capture_output = true});
    REQUIRE(console);
    pause_ms(500);
    const auto second = place.runvm({"console", "web"});
    CHECK(second.status == 124);
    CHECK_THAT(second.output, ContainsSubstring("lock 'console of web': in use by the runvm with pid"));
    REQUIRE(base::write_all(typing.get(), "some words\n", "console"));
    REQUIRE(within(60, [&] { return place.runvm({"logs", "web"}).output.contains("the guest read some words"); }));
    REQUIRE(base::write_all(typing.get(), "\x1d", "console"));
    const std::string joined = base::read_all(console->output.get(), "console", size_t{1} << 20).value_or("");
    CHECK(wait_for_end(console->pid) == 0);
    CHECK_THAT(joined, ContainsSubstring("the guest read some words"));

    const auto stop = place.runvm({"stop", "web", "--patience", "60"});
    CHECK(stop.status == 0);
    CHECK(stop.output.empty());
    CHECK(place.runvm({"list"}).output.empty());
    CHECK(nothing_left(place));
    const auto gone = place.runvm({"status", "web"});
    CHECK(gone.status == 1);
    CHECK_THAT(gone.output, ContainsSubstring("web: ended "));
    const auto never = place.runvm({"status", "other"});
    CHECK(never.status == 124);
    CHECK(never.output == "runvm: find machine 'other': no machine is running, and no run of this name was kept\n");
}

TEST_CASE("a `runvm console` that takes nothing doubles no character of the log, and afterwards has each once itself") {
    constexpr int lines = 3000;
    const Place place(
        std::format("read -r line </dev/console; echo begin; until cat /tmp/shared/go; do sleep 1; done; seq 1 {}; "
                    "echo end; touch /tmp/shared/said; sleep 1000",
                    lines));
    REQUIRE(place.runvm({"start", "--name", "web"}).status == 0);
    std::array<int, 2> keys{};
    REQUIRE(::pipe2(keys.data(), O_CLOEXEC) == 0);
    const base::Fd typed(keys[0]);
    base::Fd typing(keys[1]);
    auto console = base::start({.argv = place.words({"console", "web"}), .standard_input = typed.get(), .capture_output = true});
    REQUIRE(console);
    const auto logged = [&] { return place.runvm({"logs", "web"}).output; };
    // The guest waits for this line, so that somebody has joined the console before.
    REQUIRE(within(60, [&] { return base::write_all(typing.get(), "go\n", "console") && logged().contains("begin"); }));
    REQUIRE(::kill(console->pid, SIGSTOP) == 0);
    std::ofstream(place.shared() + "/go").flush();
    (void)place.wait_for("said");
    REQUIRE(::kill(console->pid, SIGCONT) == 0);
    std::string wanted = "\n";
    for (int i = 1; i <= lines; ++i) wanted += std::format("{}\n", i);
    wanted += "end";
    std::string log = logged();
    std::erase(log, '\r');
    CHECK(log.contains(wanted));
    REQUIRE(base::write_all(typing.get(), "\x1d", "console"));
    std::string shown = base::read_all(console->output.get(), "console", size_t{1} << 22).value_or("");
    CHECK(wait_for_end(console->pid) == 0);
    std::erase(shown, '\r');
    CHECK(shown.contains("\n1\n2\n3\n"));

    CHECK(place.runvm({"stop", "web", "--now"}).status == 0);
    CHECK_THAT(place.runvm({"list", "--all"}).output, ContainsSubstring("web   stopped (143)"));
}

TEST_CASE("QEMU ends with its launcher, and what a killed launcher left is swept at the next start") {
    const Place place;
    REQUIRE(place.runvm({"start", "--name", "one"}).status == 0);
    const pid_t launcher = place.holder("one");
    const pid_t qemu = Place::qemu_of(launcher);
    REQUIRE(::kill(launcher, SIGKILL) == 0);
    CHECK(within(5, [&] { return !alive(qemu); }));
    CHECK(place.runvm({"list"}).output.empty());
    CHECK(fs::exists(place.runtime() + "/one"));
    const auto cut = place.runvm({"status", "one"});
    CHECK(cut.status == 1);
    CHECK_THAT(cut.output, ContainsSubstring("one: cut off ") && ContainsSubstring(" ago: its launcher was killed"));
    REQUIRE(place.runvm({"start", "--name", "two"}).status == 0);
    CHECK_FALSE(fs::exists(place.runtime() + "/one"));
    const auto stop = place.runvm({"stop", "two", "--patience", "1"});  // its kernel has not come that far
    CHECK(stop.status == 0);
    CHECK(stop.output == "runvm: two did not shut down within 1 s of its power button, so it was ended\n");
    CHECK(nothing_left(place));
}

TEST_CASE("SIGTERM ends a machine in order, and its launcher says so") {
    const Place place;
    const pid_t launcher = place.launch({"run", "--name", "one"});
    CHECK(place.holder("one") == launcher);
    const pid_t qemu = Place::qemu_of(launcher);
    REQUIRE(::kill(launcher, SIGTERM) == 0);
    CHECK(wait_for_end(launcher) == 128 + SIGTERM);
    CHECK_THAT(place.output(), ContainsSubstring("ended by signal 15 (SIGTERM)"));
    CHECK_FALSE(alive(qemu));
    CHECK(nothing_left(place));
}

TEST_CASE("the terminal is as it was after QEMU was killed in the midst of it") {
    const Place place("sleep 1000");
    int master_fd = -1, slave_fd = -1;
    REQUIRE(::openpty(&master_fd, &slave_fd, nullptr, nullptr, nullptr) == 0);
    const base::Fd master(master_fd), slave(slave_fd);
    termios before{}, during{}, after{};
    REQUIRE(::tcgetattr(slave.get(), &before) == 0);
    const int flags = ::fcntl(slave.get(), F_GETFL);
    // Without the view of phases QEMU has the terminal, and the guest runs until it is killed.
    const auto argv = place.words({"run", "--name", "one", "--json"});
    std::vector<char *> words;
    for (const auto &word : argv) words.push_back(const_cast<char *>(word.c_str()));
    words.push_back(nullptr);
    const pid_t launcher = ::fork();
    if (launcher == 0) {
        (void)::setsid();
        for (const int standard : {0, 1, 2}) (void)::dup2(slave.get(), standard);
        ::execv(words[0], words.data());
        ::_exit(127);
    }
    const pid_t qemu = Place::qemu_of(place.holder("one"));
    const bool changed = within(10, [&] {
        return ::tcgetattr(slave.get(), &during) == 0 && (during.c_lflag & ICANON) == 0 &&
               (::fcntl(slave.get(), F_GETFL) & O_NONBLOCK) != 0;
    });
    CHECK(changed);  // otherwise this test shows nothing
    REQUIRE(::kill(qemu, SIGKILL) == 0);
    int status = 0;
    REQUIRE(::waitpid(launcher, &status, 0) == launcher);
    CHECK(base::exit_code(status) == 123);
    REQUIRE(::tcgetattr(slave.get(), &after) == 0);
    CHECK(settings_of(after) == settings_of(before));
    CHECK(::fcntl(slave.get(), F_GETFL) == flags);
    CHECK(nothing_left(place));
}

TEST_CASE("a guest that is ready says so to the host's service manager, and its exit status is acknowledged") {
    const Place place(R"sh(
for port in /sys/class/virtio-ports/*; do
    [ "$(cat $port/name)" = org.nixos.runvm.status ] || continue
    exec 4<>/dev/${port##*/}
    echo ready >&4
    read -r -t 20 answer <&4 && echo "ready: $answer"
    exec 4>&-
done
exit 9)sh");
    const std::string path = place.directory() + "/notify";
    const base::Fd manager(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    REQUIRE(::bind(manager.get(), reinterpret_cast<const sockaddr *>(&address), sizeof address) == 0);
    auto words = place.words({"run", "--notify-ready", "--json", "--timeout", "200"});
    words.insert(words.begin(), {"/usr/bin/env", "NOTIFY_SOCKET=" + path});
    const auto exit = base::run({.argv = words, .capture_output = true});
    REQUIRE(exit);
    CHECK(exit->status == 9);
    CHECK_THAT(exit->output, ContainsSubstring("ready: ack") && !ContainsSubstring("status port: ") &&
                                 ContainsSubstring(R"("event":"ready")") && ContainsSubstring(R"("event":"guest-exit")"));
    std::array<char, 64> message{};
    const ssize_t n = ::recv(manager.get(), message.data(), message.size(), MSG_DONTWAIT);
    CHECK(std::string_view(message.data(), static_cast<size_t>(std::max<ssize_t>(n, 0))) == "READY=1\n");
}

TEST_CASE("a panic that would hang the guest is noticed at once, through its pvpanic device") {
    const Place place("echo c >/proc/sysrq-trigger; sleep 1000");
    const auto exit = place.runvm({"run", "--append=panic=0", "--module=pvpanic-mmio", "--timeout", "200"});
    CHECK(exit.status == 121);
    CHECK_THAT(exit.output, ContainsSubstring("the guest's kernel panicked") && !ContainsSubstring("timeout"));
}

TEST_CASE("a disk that was made for another system is told, and --fresh puts it aside") {
    const Place place;
    std::string other;
    for (const auto &entry : fs::directory_iterator(fixture() + "/root/nix/store"))
        if (entry.path().filename().string().ends_with("-linux")) other = "/nix/store/" + entry.path().filename().string();
    const std::vector<std::string> briefly{"run", "--timeout", "1"};
    const auto run = [&](std::vector<std::string> more) {
        more.insert(more.begin(), briefly.begin(), briefly.end());
        return place.runvm(std::move(more)).output;
    };
    CHECK_THAT(run({}), ContainsSubstring("created " + place.disk()));
    CHECK_THAT(run({}), !ContainsSubstring("created") && !ContainsSubstring("warning"));
    const std::string kernel = fixture() + "/root" + other + "/bzImage";
    CHECK_THAT(run({"--toplevel", other, "--kernel", kernel, "--init", "/tmp/xchg/none"}),
               ContainsSubstring(std::format("warning: {} was made for {}, but now boots {}; pass --fresh to start over",
                                             place.disk(), fixture_toplevel(), other)));
    std::ofstream(place.disk(), std::ios::app) << "mark";
    const auto fresh = run({"--fresh"});
    CHECK_THAT(fresh, ContainsSubstring(std::format("put {0} aside as {0}.old-1", place.disk())) &&
                          ContainsSubstring("created " + place.disk()));
    CHECK(base::read_file(place.disk() + ".old-1", size_t{64} << 20).value_or("").ends_with("mark"));
    CHECK_FALSE(base::read_file(place.disk(), size_t{64} << 20).value_or("").ends_with("mark"));
    CHECK(nothing_left(place));
}

TEST_CASE("nothing of an ephemeral run survives, with an image or without one") {
    Place place("mountpoint -q /nix/store; echo written >/root/file; sync; ls /root");
    const std::string report = place.directory() + "/report.json";
    CHECK(place.runvm({"run", "--ephemeral", "--timeout", "200", "--report", report}).status == 0);
    CHECK_THAT(base::read_file(report).value_or(""), ContainsSubstring("\"steps\""));  // except the requested report
    CHECK_FALSE(fs::exists(place.disk()));
    CHECK(nothing_left(place));
    (void)place.runvm({"run", "--timeout", "1"});
    const auto before = base::read_file(place.disk(), size_t{64} << 20);
    REQUIRE(before);
    const auto second = place.runvm({"run", "--ephemeral", "--timeout", "200"});
    CHECK(second.status == 0);
    CHECK(base::read_file(place.disk(), size_t{64} << 20).value_or("") == *before);
    CHECK(nothing_left(place));
}

}  // namespace
