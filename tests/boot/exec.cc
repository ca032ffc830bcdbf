// Commands in a running machine: `runvm exec`, `shell` and `cp`, with the guest's agent, and what happens when the agent or the
// machine dies.

#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <csignal>
#include <filesystem>
#include <format>
#include <fstream>

#include "mounts/base/at.h"
#include "tests/boot/machine.h"
#include "tests/boot/place.h"
#include "tests/support/terminal.h"

namespace {

namespace fs = std::filesystem;
using namespace boot_test;
using Catch::Matchers::ContainsSubstring;

constexpr const char *stays_up = R"(echo 'guest:x:1000:1000::/tmp:/bin/sh' >>/etc/passwd
touch /tmp/shared/up
sleep 1000)";

// The guest has no systemd, and its disk does not matter.
void start(const Place &place, std::vector<std::string> more = {}) {
    std::vector<std::string> words{"start", "--name", "web", "--disk-image", ""};
    words.insert(words.end(), more.begin(), more.end());
    const auto started = place.runvm(words);
    INFO(started.output);
    REQUIRE(started.status == 0);
    (void)place.wait_for("up");
}

struct Ran {
    int status = -1;
    std::string output, errors;
};

// A line for the host's shell, where $runvm is the program with this place's environment.
Ran shell(const Place &place, const std::string &line) {
    std::string program;
    for (const auto &word : place.words({"exec"})) program += word == "exec" ? "" : word + " ";
    const std::string out = place.directory() + "/out", err = place.directory() + "/err";
    const auto exit =
        base::run({.argv = {"/bin/bash", "-c", std::format("runvm='{}'\n{{ {}\n}} >{} 2>{}", program, line, out, err)}});
    REQUIRE(exit);
    return {exit->status, base::read_file(out).value_or(""), base::read_file(err).value_or("")};
}

TEST_CASE("a command in a machine has streams of its own, an environment, a directory, a user, and its status is ours") {
    const Place place(stays_up);
    start(place);
    const Ran streams = shell(place, R"(printf 'one\ntwo\n' | $runvm exec web -- sh -c 'tac; echo oops >&2; exit 42')");
    CHECK(streams.status == 42);
    CHECK(streams.output == "two\none\n");
    CHECK(streams.errors == "oops\n");
    CHECK(shell(place, "$runvm exec web -- sh -c 'kill -TERM $$'").status == 128 + SIGTERM);
    const Ran missing = shell(place, "$runvm exec web -- no-such-program");
    CHECK(missing.status == 127);
    CHECK(missing.errors == "runvm: run 'no-such-program': No such file or directory\n");
    CHECK(shell(place, "$runvm exec web -- /etc/passwd").status == 126);
    CHECK(shell(place,
                "HERE=5 $runvm exec web --env A=b --env HERE --env NOT_HERE --cwd /dev/pts -- sh -c 'echo $A $HERE "
                "${NOT_HERE-unset} $PWD'")
              .output == "b 5 unset /dev/pts\n");
    CHECK(shell(place, "$runvm exec web --user guest -- sh -c 'id -u; id -g; echo $HOME $USER; pwd'").output ==
          "1000\n1000\n/tmp guest\n/tmp\n");
    CHECK_THAT(shell(place, "$runvm exec web --user nobody-here -- id").errors,
               ContainsSubstring("find user 'nobody-here': the guest has no such user"));
    CHECK_THAT(shell(place, "$runvm exec web --after dev-vdb.swap -- id").errors,
               ContainsSubstring("wait for 'dev-vdb.swap': the guest's system has no systemd"));
    // A success whose output is lost is none.
    for (const char *command : {"echo words", "yes"}) {  // one may have ended already, the other ends for this
        const Ran lost = shell(place, std::string("$runvm exec web -- ") + command + " >/dev/full");
        CHECK(lost.status == 124);
        CHECK(lost.errors == "runvm: write 'the command's output': No space left on device\n");
    }
    CHECK(shell(place, "$runvm exec web -- sh -c 'echo words >&2; sleep 1; echo words >&2' 2>/dev/full").status == 0);
    const Ran unit = shell(place, "$runvm exec web --after sshd.service -- id");
    CHECK(unit.status == 124);
    CHECK_THAT(unit.errors, ContainsSubstring("wait for 'sshd.service': the guest's system has no systemd") &&
                                ContainsSubstring("pass another unit to --after, or --after ''"));
    CHECK_THAT(shell(place, "$runvm exec web --cwd /nowhere -- id").errors, ContainsSubstring("change directory to '/nowhere'"));
    // A signal to runvm goes to the command.
    const Ran signalled =
        shell(place, R"($runvm exec web -- sh -c 'trap "echo got it; exit 3" TERM; echo ready; while :; do sleep 0.1; done' &
until grep -q ready )" + place.directory() +
                         R"(/out; do sleep 0.1; done; kill -TERM $!; wait $!)");
    CHECK(signalled.status == 3);
    CHECK(signalled.output == "ready\ngot it\n");
    // A process that outlives the command does not delay us.
    CHECK(shell(place, "$runvm exec web -- sh -c 'sleep 500 & echo said'").output == "said\n");
    CHECK_THAT(shell(place, "$runvm exec other -- true").errors, ContainsSubstring("not running; running machines: web"));
    CHECK_THAT(shell(place, "$runvm exec web").errors, ContainsSubstring("no command given; put it after --"));
    CHECK_THAT(shell(place, "$runvm exec -- true").errors, ContainsSubstring("no machine given"));
}

TEST_CASE("whoever waits long for a command to succeed in the guest is told how it fails") {
    const Place place(stays_up);
    start(place);
    const Ran ran = shell(place, "(until grep -q 'still waiting' " + place.directory() +
                                     "/err; do sleep 0.1; done; sleep 1; $runvm exec web -- touch /run/late) & "
                                     "$runvm exec web --after 'test -e /run/late || exit 7' -- echo done");
    CHECK(ran.status == 0);
    CHECK(ran.output == "done\n");
    CHECK_THAT(ran.errors, ContainsSubstring("still waiting for 'test -e /run/late || exit 7': it exits with 7 in the guest"));
    CHECK(ran.errors.find("still waiting") == ran.errors.rfind("still waiting"));
}

TEST_CASE("where no machine comes up for a command, its launcher's status and words are ours") {
    const Place place(stays_up);
    const Ran ran = shell(place, std::format("$runvm exec --accel tcg --store {}/root/nix/store --toplevel {} --disk-image '' "
                                             "--qemu-option=-no-such-option -- true",
                                             fixture(), fixture_toplevel()));
    CHECK(ran.status == 123);
    CHECK_THAT(ran.errors, ContainsSubstring("s: QEMU failed\n") && ContainsSubstring("\nrunvm:   why: ") &&
                               ContainsSubstring("-no-such-option: invalid option\n"));
}

TEST_CASE("ctrl-c before a machine that is booted for a command can take it ends that machine at once") {
    const Place place(stays_up);
    const pid_t runvm = place.launch({"in-vm", "--accel", "tcg", "--store", fixture() + "/root/nix/store", "--toplevel",
                                      fixture_toplevel(), "--name", "web", "--", "true"});
    const pid_t qemu = Place::qemu_of(place.holder("web"));
    REQUIRE(::kill(qemu, SIGSTOP) == 0);  // a guest that does not come up
    REQUIRE(::kill(runvm, SIGINT) == 0);
    int status = 0;
    CHECK(
        within(20, [&] { return ::waitpid(runvm, &status, WNOHANG) == runvm; }));  // not after its patience with the power button
    CHECK(base::exit_code(status) == 128 + SIGINT);
    CHECK(within(20, [&] { return !alive(qemu); }));  // killed before, but a process takes its time to go
}

TEST_CASE("a gigabyte through a command's standard input and back arrives intact") {
    const Place place(stays_up);
    start(place);
    const Ran ran = shell(place, "head -c 1000000000 /dev/urandom | tee >(sha256sum >" + place.directory() +
                                     "/sent) | $runvm exec web -- cat | sha256sum; "
                                     "until [ -s " +
                                     place.directory() + "/sent ]; do sleep 0.1; done");
    INFO(ran.errors);
    CHECK(ran.output == base::read_file(place.directory() + "/sent").value_or("nothing"));
    CHECK(ran.output.size() == 68);
}

TEST_CASE("a hundred commands at once each get what is theirs") {
    const Place place(stays_up);
    start(place, {"--memory", "640"});
    const Ran ran = shell(place, "cd " + place.directory() + R"sh(
for i in $(seq 100); do
    {
        { head -c 200000 /dev/zero | tr '\0' "$((i % 10))"; echo; } |
            $runvm exec web --patience 100 -- sh -c "cat; echo $i; exit $((i % 7))" >$i
        echo "$i $?"
    } &
done
wait)sh");
    INFO(ran.errors);
    for (int i = 1; i <= 100; ++i) {
        CHECK(("\n" + ran.output).contains(std::format("\n{} {}\n", i, i % 7)));
        CHECK(base::read_file(std::format("{}/{}", place.directory(), i)).value_or("") ==
              std::string(200000, static_cast<char>('0' + i % 10)) + std::format("\n{}\n", i));
    }
}

TEST_CASE("a command with a terminal has its size, ctrl-c and job control") {
    const Place place(stays_up);
    start(place);
    std::vector<std::string> words = place.words({"exec", "web", "--", "bash", "--norc", "-i"});
    const std::string line = "stty rows 41 cols 123; exec \"$@\"";
    words.insert(words.begin(), {"/bin/sh", "-c", line, "sh"});
    const support::Session session = support::at_a_terminal(words, "bash",
                                                            "PS1='> '; stty size; tty; trap 'echo caught' INT; kill -INT $$\r"
                                                            "sleep 1000 & kill %1; sleep 0.5; jobs; exit 9\r");
    INFO(session.screen);
    CHECK(session.exit_code == 9);
    CHECK_THAT(session.screen, ContainsSubstring("\n41 123\r\n") && ContainsSubstring("/dev/pts/") &&
                                   ContainsSubstring("caught") && ContainsSubstring("Terminated") &&
                                   !ContainsSubstring("no job control"));
}

TEST_CASE("keys typed at a command's terminal reach it: ctrl-c ends one command, ctrl-z stops one, a resize is seen") {
    const Place place(stays_up);
    start(place);
    support::Terminal terminal;
    const pid_t pid = ::fork();
    if (pid == 0) {
        (void)::setsid();
        (void)::ioctl(terminal.program_side(), TIOCSCTTY, 0);
        for (const int fd : {0, 1, 2}) (void)::dup2(terminal.program_side(), fd);
        std::vector<std::string> words = place.words({"exec", "web", "--", "bash", "--norc", "-i"});
        std::vector<char *> argv;
        for (auto &word : words) argv.push_back(word.data());
        argv.push_back(nullptr);
        (void)::execvp(argv[0], argv.data());
        ::_exit(127);
    }
    const auto never = [] { return false; };
    // The foreground process itself prints the word, because a key that arrives before it would be for bash.
    const std::string sleeper = "bash -c 'echo slee\"\"ping; exec sleep 1000'\r";
    terminal.type("PS1='pro''mpt> '\r");
    CHECK(terminal.wait_for("prompt> ", 60, never));
    terminal.type(sleeper);
    CHECK(terminal.wait_for("sleeping", 60, never));
    terminal.type("\x03");
    CHECK(terminal.wait_for("prompt> ", 60, never));
    terminal.type(sleeper);
    CHECK(terminal.wait_for("sleeping", 60, never));
    pause_ms(300);
    terminal.type("\x1a");
    CHECK(terminal.wait_for("Stopped", 60, never));
    const winsize window{33, 99, 0, 0};
    CHECK(::ioctl(terminal.program_side(), TIOCSWINSZ, &window) == 0);
    terminal.type("kill %1; until [ \"$(stty size)\" = '33 99' ]; do sleep 0.2; done; echo resi''zed; exit 5\r");
    const bool resized = terminal.wait_for("resized", 60, never);
    INFO(terminal.said());
    CHECK(resized);
    if (!resized) (void)::kill(pid, SIGKILL);
    int status = 0;
    CHECK(::waitpid(pid, &status, 0) == pid);
    CHECK(base::exit_code(status) == 5);
}

TEST_CASE("an agent that is killed is named, another takes its place, and a machine's end is told") {
    const Place place(stays_up);
    start(place);
    // The command's parent is the agent.
    const Ran killed = shell(place, "$runvm exec web -- sh -c 'kill -9 $PPID; sleep 1000'");
    CHECK(killed.status == 124);
    // QEMU reports a port's changes once a second at most, so the next agent may be there first.
    CHECK_THAT(killed.errors, ContainsSubstring("the agent in the guest ended; was it killed") ||
                                  ContainsSubstring("the agent in the guest was restarted"));
    CHECK(shell(place, "$runvm exec web -- echo again").output == "again\n");
    const Ran dead =
        shell(place, std::format("(sleep 3; kill -9 {}) & $runvm exec web -- sleep 1000", Place::qemu_of(place.holder("web"))));
    CHECK(dead.status == 124);
    CHECK_THAT(dead.errors, ContainsSubstring("the machine ended before the command did"));
}

TEST_CASE("a guest without an agent is told as that, with what it needs") {
    const Place place(stays_up);
    start(place, {"--append", "stage1.agent=off"});
    const Ran ran = shell(place, "$runvm exec web --patience 2 -- true");
    CHECK(ran.status == 124);
    CHECK_THAT(ran.errors,
               ContainsSubstring("no agent answered in the guest within 2 s") && ContainsSubstring("stage1-agent.service"));
    CHECK_THAT(shell(place, "$runvm console --debug web").errors,
               ContainsSubstring("no shell answers; stage 1 has one only where"));
}

TEST_CASE("files go into a machine and out of it with runvm cp") {
    const Place place(stays_up);
    start(place);
    std::ofstream(place.directory() + "/a file") << std::string(300'000, 'x');
    fs::permissions(place.directory() + "/a file", fs::perms(0751));
    const Ran ran = shell(place, std::format(R"(cd {}
$runvm cp 'a file' web:/root/ && $runvm exec web -- stat -c '%a %s' '/root/a file'
$runvm cp 'web:/root/a file' back && cmp 'a file' back && echo same
$runvm cp web:/nowhere . || echo "status $?"
$runvm cp web:/etc back2 || echo "status $?"
ls)",
                                             place.directory()));
    INFO(ran.errors);
    CHECK_THAT(ran.output, ContainsSubstring("751 300000\nsame\nstatus 1\nstatus 1\n") && !ContainsSubstring("nowhere") &&
                               !ContainsSubstring(".part"));
    CHECK_THAT(ran.errors, ContainsSubstring("runvm: in web: open '/nowhere': No such file or directory\n") &&
                               ContainsSubstring("copy a directory with tar"));
    const Ran left_over = shell(place, std::format(R"(cd {}; touch back.part; $runvm cp 'web:/root/a file' back
$runvm exec web -- touch /root/to.part; $runvm cp 'a file' web:/root/to; $runvm cp 'a file' web:/nowhere/to; rm back.part)",
                                                   place.directory()));
    CHECK(left_over.errors ==
          "runvm: copy to 'back': File exists; another copy is making back.part, or was killed; then remove it\n"
          "runvm: in web: copy to '/root/to': File exists; another copy is making /root/to.part, or was killed; then remove it\n"
          "runvm: in web: copy to '/nowhere/to': No such file or directory\n");

    // An endless file fills neither the allowed amount nor the file system.
    const Ran large = shell(place, "cd " + place.directory() + "; $runvm cp --max-bytes 200K 'web:/root/a file' large");
    CHECK(large.status == 124);
    CHECK_THAT(large.errors,
               ContainsSubstring("take from the guest '/root/a file': File too large; the guest sends more than 204800 bytes"));
    CHECK_FALSE(fs::exists(place.directory() + "/large.part"));
    if (::geteuid() != 0) return;
    const std::string small = place.directory() + "/small";
    fs::create_directory(small);
    REQUIRE(::mount("small", small.c_str(), "tmpfs", 0, "size=10m") == 0);
    const Ran endless = shell(place, "$runvm cp web:/dev/zero " + small + "/zeros");
    const bool left = !fs::is_empty(small);
    REQUIRE(::umount(small.c_str()) == 0);
    CHECK(endless.status == 124);
    CHECK_THAT(endless.errors, ContainsSubstring("make room for the guest's files in") && ContainsSubstring("are reserved"));
    CHECK_FALSE(left);
}

TEST_CASE("a machine that is booted for one command ends clean after it, and what was written is on its disk") {
    const Place place(stays_up);
    std::string flags =
        " --accel tcg --store " + fixture() + "/root/nix/store --toplevel " + fixture_toplevel() + " --timeout 240 ";
    const Ran first = shell(place, "$runvm exec" + flags + "-- sh -c 'cat >/kept; exit 6' <<<written");
    INFO(first.errors);
    CHECK(first.status == 6);
    CHECK(first.output.empty());
    CHECK(fs::is_empty(place.runtime()));
    const Ran second = shell(place, "$runvm exec" + flags + "-- cat /kept");
    CHECK(second.status == 0);
    CHECK(second.output == "written\n");
    const Ran failed = shell(place, "$runvm exec" + flags + "--init /nowhere -- true");
    CHECK(failed.status == 120);
    CHECK_THAT(failed.errors,
               ContainsSubstring("stage 1 failed in its phase 'system'") && ContainsSubstring("why: find init '/nowhere'"));
}

TEST_CASE("a machine with systemd is waited for up to its target, and shut down in order; a unit that never comes is told") {
    const Place place("sleep 1000");
    const std::string system = base::read_file(fixture() + "/systemd/toplevel").value_or("");
    const std::string flags = " --accel tcg --store " + fixture() + "/root/nix/store --toplevel " +
                              system.substr(0, system.find('\n')) + " --timeout 300 ";
    // This system's programs are not where NixOS has them.
    const Ran ran = shell(place, "$runvm exec" + flags + "-- systemctl is-active multi-user.target");
    INFO(ran.errors);
    CHECK(ran.status == 0);
    CHECK(ran.output == "active\n");
    const Ran never = shell(place, "$runvm exec" + flags + "--after nothing.target -- systemctl");
    INFO(never.errors);
    CHECK(never.status == 124);
    CHECK_THAT(never.errors, ContainsSubstring("wait for 'nothing.target'") && ContainsSubstring("the system is ") &&
                                 ContainsSubstring("pass another unit to --after"));
}

}  // namespace
