// A machine as the builder of a real Nix on this host, in several versions: without ssh, keys or a network.

#include <catch_amalgamated.hpp>
#include <csignal>
#include <filesystem>
#include <format>
#include <fstream>

#include "mounts/base/at.h"
#include "mounts/base/process.h"
#include "tests/boot/machine.h"
#include "tests/boot/place.h"

namespace {

namespace fs = std::filesystem;
using namespace boot_test;
using Catch::Matchers::ContainsSubstring;

constexpr const char *has_a_daemon = R"sh(mkdir -p /usr/local/bin
ln -s "$(readlink -f "$(command -v nix)")" /usr/local/bin/nix-daemon
sleep 1000)sh";

struct Ran {
    int status = -1;
    std::string said;
    std::vector<std::string> outputs;  // their paths on the host
};

class Host {
  public:
    Host() : place_(has_a_daemon) {
        copy_fixture(path("root"));
        fs::create_directory(path("conf"));
        std::ofstream(path("conf/nix.conf"))
            << "build-users-group =\nsubstituters =\nsandbox = false\nmax-jobs = 0\nsandbox-paths =\n";
        const std::string system = path("root") + fixture_toplevel();
        for (const auto &[name, program] :
             {std::pair<std::string, std::string>{"bash", "bash"}, {"tools", "cat"}, {"busybox", "sleep"}}) {
            const std::string target = fs::read_symlink(system + "/sw/bin/" + program);
            arguments_.insert(arguments_.end(), {"--argstr", name, target.substr(0, target.find("/bin/"))});
        }
    }

    // The line of Nix's machines file.
    std::string builder(std::vector<std::string> more, const std::string &scheme = "ssh-ng") {
        std::vector<std::string> words{"builder",
                                       "--name",
                                       "web",
                                       "--accel",
                                       "tcg",
                                       "--store",
                                       path("root/nix/store"),
                                       "--toplevel",
                                       fixture_toplevel(),
                                       "--disk-image",
                                       "",
                                       "--memory",
                                       "640",
                                       "--features",
                                       "in-a-machine,benchmark",
                                       "--jobs",
                                       "6",
                                       "--after",
                                       "test -e /usr/local/bin/nix-daemon",
                                       "--protocol",
                                       scheme};
        words.insert(words.end(), more.begin(), more.end());
        const auto made = place_.runvm(words);
        INFO(made.output);
        REQUIRE(made.status == 0);
        return line_ = made.output.substr(made.output.find(scheme + "://"), made.output.find("- -\n") + 3);
    }

    // The arguments; `suite`: which Nix (tests/support/nix-versions).
    [[nodiscard]] std::vector<std::string> words(const std::string &suite, std::vector<std::string> more) const {
        const auto found = base::run({.argv = {"tests/support/nix-versions", suite}, .capture_output = true});
        REQUIRE(found);
        if (found->status != 0) SKIP("no Nix of " << suite << ": " << found->output);
        const std::string nix = found->output.substr(0, found->output.find('\n'));
        const std::string hook = path(suite + "-hook");
        fs::create_directories(hook);
        if (!fs::exists(hook + "/build-remote")) fs::create_symlink(nix, hook + "/build-remote");
        // runvm is a child of Nix, so its settings go into the environment.
        std::vector<std::string> all{"/usr/bin/env",
                                     "-u",
                                     "TMPDIR",
                                     "XDG_RUNTIME_DIR=" + place_.directory() + "/run",
                                     "XDG_STATE_HOME=" + path("state"),
                                     "SHARED_DIR=" + place_.shared(),
                                     "HOME=" + place_.directory(),
                                     "NIX_REMOTE=",
                                     "NIX_CONF_DIR=" + path("conf"),
                                     "PATH=" + path("state/runvm-builders/bin") + ":" + std::getenv("PATH"),
                                     "/bin/sh",
                                     "-c",
                                     "exec \"$@\" 2>\"$0\"",
                                     path("log"),
                                     fs::path(nix).parent_path().string() + "/nix-build",
                                     "--store",
                                     path("root"),
                                     "--no-out-link",
                                     "-v",
                                     "--builders",
                                     line_,
                                     "--option",
                                     "build-hook",
                                     hook + "/build-remote",
                                     "tests/boot/nix-build/remote.nix"};
        all.insert(all.end(), arguments_.begin(), arguments_.end());
        all.insert(all.end(), more.begin(), more.end());
        return all;
    }

    [[nodiscard]] Ran build(const std::string &suite, std::vector<std::string> more) const {
        const auto exit = base::run({.argv = words(suite, std::move(more)), .capture_output = true});
        REQUIRE(exit);
        Ran ran{.status = exit->status, .said = base::read_file(path("log")).value_or("")};
        for (size_t at = 0, end = 0; (end = exit->output.find('\n', at)) != std::string::npos; at = end + 1)
            ran.outputs.push_back(path("root") + exit->output.substr(at, end - at));
        return ran;
    }

    [[nodiscard]] std::string path(const std::string &name) const { return place_.directory() + "/" + name; }
    [[nodiscard]] const Place &place() const { return place_; }
    [[nodiscard]] std::string log() const { return base::read_file(path("state/runvm-builders/web/log")).value_or(""); }
    [[nodiscard]] bool runs() const { return !place_.runvm({"list", "--names"}).output.empty(); }

    // Starts an endless build in the background, and waits until it has begun in the guest.
    [[nodiscard]] pid_t begin_endless(const std::string &name) const {
        auto child =
            base::start({.argv = words("trixie", {"-A", "endless", "--argstr", "name", name}), .dies_with_parent = true});
        REQUIRE(child);
        (void)place_.wait_for("begun-" + name);
        return child->pid;
    }

  private:
    Place place_;
    std::vector<std::string> arguments_;
    std::string line_;
};

TEST_CASE("Nix of several versions builds in a machine that is booted for it, six at once, without a copy of its inputs") {
    Host host;
    CHECK(host.builder({"--idle", "60"}) == "ssh-ng://web x86_64-linux - 6 1 in-a-machine,benchmark - -");
    for (const char *suite : {"bookworm", "trixie", "sid"}) {
        const Ran one = host.build(suite, {"-A", "one", "--argstr", "name", std::string("one-") + suite});
        INFO(suite << ": " << one.said << host.log());
        REQUIRE(one.status == 0);
        CHECK_THAT(one.said, ContainsSubstring("said\n"));
        CHECK_THAT(base::read_file(one.outputs.at(0)).value_or(""), ContainsSubstring("built under (none), init\n"));

        std::ofstream(host.path("late")) << suite;
        const Ran late = host.build(suite, {"-A", "late", "--argstr", "name", suite, "--argstr", "late", host.path("late")});
        INFO(late.said);
        REQUIRE(late.status == 0);
        CHECK(base::read_file(late.outputs.at(0)).value_or("") == suite);

        const Ran failing = host.build(suite, {"-A", "failing"});
        INFO(failing.said);
        CHECK(failing.status != 0);
        CHECK_THAT(failing.said, ContainsSubstring("told\n") && ContainsSubstring("failed with exit code 3"));
    }
    const Ran six = host.build("trixie", {"-A", "six"});
    INFO(six.said);
    REQUIRE(six.status == 0);
    CHECK(six.outputs.size() == 6);
    // The older protocol, in the same machine.
    CHECK(host.builder({"--idle", "60"}, "ssh").starts_with("ssh://web "));
    const Ran older = host.build("trixie", {"-A", "one", "--argstr", "name", "older"});
    INFO(older.said);
    CHECK(older.status == 0);
}

TEST_CASE("a builder whose guest hangs while it boots is ended after its limit, and Nix is told") {
    Host host;
    host.builder({"--boot-limit", "20", "--qemu-option=-S"});  // its processor never starts
    const Ran one = host.build("trixie", {"-A", "one", "--argstr", "name", "one"});
    INFO(one.said << host.log());
    CHECK(one.status != 0);
    CHECK_THAT(one.said,
               ContainsSubstring("boot builder 'web': the machine did not reach its target within 20 s (--boot-limit)"));
    CHECK(within(60, [&] { return !host.runs(); }));
}

TEST_CASE("a builder that nobody uses is powered off and boots again; one that is killed or hangs is no failed build") {
    Host host;
    host.builder({"--idle", "3"});
    const Ran first = host.build("trixie", {"-A", "one", "--argstr", "name", "first"});
    INFO(first.said << host.log());
    REQUIRE(first.status == 0);
    CHECK(within(120, [&] { return !host.runs(); }));
    CHECK_THAT(host.place().runvm({"status", "web"}).output, ContainsSubstring("exit 0") || ContainsSubstring("ended"));

    const pid_t killed = host.begin_endless("killed");
    REQUIRE(::kill(Place::qemu_of(host.place().holder("web")), SIGKILL) == 0);
    CHECK(wait_for_end(killed) != 0);
    CHECK_THAT(base::read_file(host.path("log")).value_or(""),
               ContainsSubstring("builder web: its machine ended with status 123; this is not a build failure"));

    host.builder({"--heartbeat", "20"});
    const pid_t hung = host.begin_endless("hung");
    REQUIRE(host.place().runvm({"qmp", "web", "stop"}).status == 0);
    CHECK(wait_for_end(hung) != 0);
    CHECK_THAT(base::read_file(host.path("log")).value_or(""),
               ContainsSubstring("builder web: the guest did not answer for 20 s and was ended; this is not a build failure"));
    CHECK(within(60, [&] { return !host.runs(); }));
}

}  // namespace
