// What a refused run leaves behind, and what happens without a home directory.
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <random>

#include "mounts/base/at.h"
#include "mounts/base/process.h"
#include "tests/support/disk.h"

namespace {

namespace fs = std::filesystem;

// A host with a QEMU that only prints its version, and a qemu-img that creates the requested file.
struct Host {
    support::ScratchDirectory scratch;
    std::vector<std::string> environment{"PATH=" + scratch.path("bin") + ":/usr/bin:/bin",
                                         "XDG_RUNTIME_DIR=" + scratch.path("run")};
    std::vector<std::string> before;  // words before runvm
    Host() {
        for (const char *directory : {"bin", "run", "images"}) fs::create_directory(scratch.path(directory));
        program("qemu-system-x86_64", "echo 'QEMU emulator version 10.0.0'\n");
        program("qemu-img", "while [ $# -gt 2 ]; do shift; done\necho made >\"$1\"\n");
        std::ofstream(scratch.path("kernel")) << "\x7f" << "ELF";
    }
    void program(const std::string &name, const std::string &body) const {
        std::ofstream(scratch.path("bin/" + name)) << "#!/bin/sh\n" << body;
        fs::permissions(scratch.path("bin/" + name), fs::perms::owner_all);
    }
    [[nodiscard]] base::Exit runvm(std::vector<std::string> words) const {
        const auto program = fs::read_symlink("/proc/self/exe").parent_path().parent_path() / "runvm";
        words.insert(words.begin(), {program.string(), "run"});
        words.insert(words.begin(), before.begin(), before.end());
        words.insert(words.end(), {"--store", "/tmp", "--accel", "tcg", "--disk-image", scratch.path("images/disk.qcow2")});
        const auto exit = base::run({.argv = words, .environment = environment, .capture_output = true});
        REQUIRE(exit);
        return *exit;
    }
};

}  // namespace

TEST_CASE("a run that is refused leaves neither an image nor a stamp") {
    const Host host;
    const auto kernel = host.scratch.path("kernel");
    for (const std::vector<std::string> &words : {std::vector<std::string>{"--toplevel", host.scratch.path("missing")},
                                                  {"--kernel", kernel},  // without an init
                                                  {"--kernel", kernel, "--init", "/x", "--initrd", kernel, "--drives",
                                                   R"({"file":")" + kernel + R"(","format":"raw","serial":"root"})"}}) {
        const auto exit = host.runvm(words);
        INFO(exit.output);
        CHECK(exit.status == 124);
        CHECK(fs::is_empty(host.scratch.path("images")));
    }
}

TEST_CASE("without a home, or with one that is not there, runvm prints its command, and makes nothing") {
    Host host;
    const auto kernel = host.scratch.path("kernel");
    const std::vector<std::string> words{"--print", "--kernel", kernel, "--init", "/x", "--vlans", "1"};
    CHECK(host.runvm(words).status == 0);
    host.environment.push_back("HOME=" + host.scratch.path("homeless-shelter"));
    const auto exit = host.runvm(words);
    INFO(exit.output);
    CHECK(exit.status == 0);
    CHECK_FALSE(fs::exists(host.scratch.path("homeless-shelter")));
    CHECK(fs::is_empty(host.scratch.path("images")));
    CHECK(fs::is_empty(host.scratch.path("run")));
}

TEST_CASE("what runvm prints makes what its command names, where it was not, and runs twice") {
    const Host host;
    fs::create_directory(host.scratch.path("home"));
    host.program("qemu-system-x86_64", "[ \"$1\" = --version ] || [ \"$1\" = -sandbox ] || ls " + host.scratch.path("images") +
                                           " $(echo \"$*\" | grep -o -- '-initrd [^ ]*' | cut -d' ' -f2)\n"
                                           "echo 'QEMU emulator version 10.0.0'\n");
    const auto printed = host.runvm({"--print", "--kernel", host.scratch.path("kernel"), "--init", "/x", "--modules", "",
                                     "--kernel-params", "stage1.device-timeout=" + std::string(4000, '0')});
    INFO(printed.output);
    REQUIRE(printed.status == 0);
    CHECK(fs::is_empty(host.scratch.path("images")));
    for (int time = 0; time < 2; ++time) {
        const auto ran =
            base::run({.argv = {"sh", "-ec", printed.output}, .environment = host.environment, .capture_output = true});
        REQUIRE(ran);
        INFO(ran->output);
        CHECK(ran->status == 0);
        CHECK(ran->output.contains("disk.qcow2"));
        CHECK(ran->output.contains("/run/runvm/nixos/initrd"));
        CHECK_FALSE(ran->output.contains("No such file"));
    }
    CHECK(fs::is_empty(host.scratch.path("home")));
    for (const char *place : {"run/runvm", "run/runvm/nixos", "run/runvm/nixos/xchg"})
        CHECK((fs::status(host.scratch.path(place)).permissions() & fs::perms::mask) == fs::perms::owner_all);
}

TEST_CASE(
    "what runvm prints starts the TPM, gives certificates to be read, and leaves the firmware's variables when it runs again") {
    Host host;
    host.program("swtpm", "echo \"swtpm $*\"\n");
    host.program("qemu-system-x86_64", "echo 'QEMU emulator version 10.0.0'; cat " + host.scratch.path("vars.fd") + " || true\n");
    std::ofstream(host.scratch.path("ours.crt")) << "a certificate\n";
    std::ofstream(host.scratch.path("first.fd")) << "first\n";
    host.environment.push_back("NIX_SSL_CERT_FILE=" + host.scratch.path("ours.crt"));
    const auto printed = host.runvm({"--print", "--kernel", host.scratch.path("kernel"), "--init", "/x", "--modules", "", "--tpm",
                                     "--tpm-state-directory", host.scratch.path("tpm"), "--use-efi-boot", "--efi-firmware",
                                     host.scratch.path("first.fd"), "--efi-variables", host.scratch.path("first.fd"),
                                     "--efi-own-variables", host.scratch.path("vars.fd"), "--use-host-certs"});
    INFO(printed.output);
    REQUIRE(printed.status == 0);
    CHECK_FALSE(fs::exists(host.scratch.path("tpm")));
    for (const char *variables : {"first\n", "second\n"}) {
        const auto ran = base::run(
            {.argv = {"sh", "-ec", "umask 077\n" + printed.output}, .environment = host.environment, .capture_output = true});
        REQUIRE(ran);
        INFO(ran->output);
        CHECK(ran->status == 0);
        CHECK(ran->output.contains("swtpm socket --tpm2 --tpmstate dir=" + host.scratch.path("tpm") +
                                   ",mode=0600 --ctrl type=unixio,path=" + host.scratch.path("run/runvm/nixos/tpm") +
                                   " --terminate --daemon"));
        CHECK(ran->output.ends_with(variables));
        std::ofstream(host.scratch.path("vars.fd")) << "second\n";
    }
    CHECK((fs::status(host.scratch.path("tpm")).permissions() & fs::perms::mask) == fs::perms::owner_all);
    const auto certificates = host.scratch.path("run/runvm/nixos/certs");
    CHECK((fs::status(certificates).permissions() & fs::perms::mask) == fs::perms{0755});
    CHECK((fs::status(certificates + "/ca-certificates.crt").permissions() & fs::perms::mask) == fs::perms{0644});
}

TEST_CASE("a store that can't be shared as it is asked for leaves neither an image nor a stamp") {
    Host host;
    host.program("virtiofsd", "echo virtiofsd 1.13\n");
    // Without this capability, root's virtiofsd can't open files by handle either, which would need no descriptors.
    host.before = {"setpriv", "--bounding-set=-dac_read_search", "sh", "-c", "ulimit -n 500 && exec \"$@\"", "sh"};
    const auto exit =
        host.runvm({"--kernel", host.scratch.path("kernel"), "--init", "/x", "--modules", "", "--store-kind", "virtiofs"});
    INFO(exit.output);
    CHECK(exit.status == 124);
    CHECK(exit.output.contains("the store has more files than virtiofsd may have descriptors (500)"));
    CHECK(fs::is_empty(host.scratch.path("images")));
    CHECK(fs::is_empty(host.scratch.path("run/runvm")));
}

TEST_CASE("what --print would do, whatever is asked for, changes nothing that is there") {
    Host host;
    for (const char *directory : {"home", "cache", "state", "tmp", "shared"}) fs::create_directory(host.scratch.path(directory));
    for (const auto &[name, directory] : {std::pair{"HOME=", "home"},
                                          {"XDG_CACHE_HOME=", "cache"},
                                          {"XDG_STATE_HOME=", "state"},
                                          {"TMPDIR=", "tmp"},
                                          {"USE_TMPDIR=", "tmp"}})
        host.environment.push_back(name + host.scratch.path(directory));
    std::ofstream(host.scratch.path("images/disk.qcow2")) << std::string("QFI\xfb", 4) << std::string(508, '\0');
    std::ofstream(host.scratch.path("secret")) << "secret";
    // Names, inodes, sizes, and the time of each last change of any kind.
    const auto snapshot = [&] {
        const auto found = base::run(
            {.argv = {"find", host.scratch.path(""), "-printf", "%p %i %s %m %U %n %T@ %C@\n"}, .capture_output = true});
        REQUIRE(found);
        return found->output;
    };
    const auto kernel = host.scratch.path("kernel");
    const std::vector<std::string> common{"--print", "--kernel", kernel, "--init", "/x", "--modules", ""};
    for (const std::vector<std::string> &more :
         {std::vector<std::string>{},
          {"--fresh"},
          {"--ephemeral"},
          {"--empty-disk-images", "100"},
          {"--vlans", "3"},
          {"--forward-ports", R"({"from":"guest","host":{"port":8080},"guest":{"port":80}})"},
          {"--shared-dir", host.scratch.path("shared")},
          {"--credentials", "a=" + host.scratch.path("secret")},
          {"--run-as", "61234:61234"},
          {"--kernel-params", "stage1.device-timeout=" + std::string(4000, '0')}}) {
        auto words = common;
        words.insert(words.end(), more.begin(), more.end());
        const std::string before = snapshot();
        const auto exit = host.runvm(words);
        INFO((more.empty() ? "" : more.front()) << ": " << exit.output);
        CHECK((exit.status == 0 || more == std::vector<std::string>{"--run-as", "61234:61234"}));  // only root may use it
        CHECK(snapshot() == before);
    }
}

TEST_CASE("a run that is refused holds nothing and leaves no cache") {
    Host host;
    fs::create_directory(host.scratch.path("home"));
    host.environment.push_back("HOME=" + host.scratch.path("home"));
    const auto kernel = host.scratch.path("kernel");
    const auto exit = host.runvm(
        {"--kernel", kernel, "--init", "/x", "--drives", R"({"file":")" + kernel + R"(","format":"raw","serial":"root"})"});
    INFO(exit.output);
    CHECK(exit.status == 124);
    CHECK(exit.output.contains("another disk has serial root too"));
    CHECK(fs::is_empty(host.scratch.path("home")));
    CHECK(fs::is_empty(host.scratch.path("run/runvm")));
}

TEST_CASE("whatever a caller does with the standard streams and SIGCHLD, a machine runs, and no file of its gets our words") {
    Host host;
    host.program("qemu-system-x86_64",
                 "case $1 in --version) echo 'QEMU emulator version 10.0.0'; exit;; -sandbox|-help) exit;; esac\nsleep 0.5\n");
    const std::string status = host.scratch.path("status"), disk = host.scratch.path("images/disk.qcow2");
    for (const std::string how : {"\"$@\" >&- 2>&-; echo $? >$0", "\"$@\" <&- >&- 2>&-; echo $? >$0",
                                  "(\"$@\" --json 2>&1; echo $? >$0) | true", "env --ignore-signal=CHLD \"$@\"; echo $? >$0"}) {
        INFO(how);
        fs::remove(disk);
        fs::remove(status);
        host.before = {"sh", "-c", how, status};
        (void)host.runvm({"--kernel", host.scratch.path("kernel"), "--init", "/x"});
        for (int i = 0; i < 100 && base::read_file(status).value_or("").empty(); ++i) (void)::usleep(50'000);
        CHECK(base::read_file(status) == "0\n");
        CHECK(base::read_file(disk) == "made\n");
        CHECK_FALSE(fs::exists(host.scratch.path("run/runvm/nixos")));
    }
}

TEST_CASE("a launcher that is ended at any moment of its start leaves a whole image or none") {
    const Host host;
    host.program("qemu-img",
                 "while [ $# -gt 2 ]; do shift; done\nfor part in a b c d; do printf $part >>\"$1\"; sleep 0.01; done\n");
    host.program(
        "qemu-system-x86_64",
        "case \"$*\" in --version | -help | '-sandbox on -machine help') echo 'QEMU emulator version 10.0.0'; exit;; esac\n"
        ": >\"${0%/*}/started\"; exec sleep 5\n");
    const auto program = fs::read_symlink("/proc/self/exe").parent_path().parent_path() / "runvm";
    const auto kernel = host.scratch.path("kernel"), image = host.scratch.path("images/disk.qcow2");
    const auto started = host.scratch.path("bin/started");
    const auto start = [&] {
        fs::remove(image);
        fs::remove(image + ".runvm");
        auto child = base::start({.argv = {program, "run", "--store", "/tmp", "--accel", "tcg", "--kernel", kernel, "--initrd",
                                           kernel, "--init", "/x", "--disk-image", image},
                                  .environment = host.environment,
                                  .capture_output = true});
        REQUIRE(child);
        return std::move(*child);
    };
    // Measures the time until QEMU runs; the other launchers are killed before that or shortly after.
    const auto begin = std::chrono::steady_clock::now();
    const auto undisturbed = start();
    while (!fs::exists(started)) ::usleep(1000);
    const auto takes = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begin).count();
    REQUIRE(::kill(undisturbed.pid, SIGTERM) == 0);
    REQUIRE(::waitpid(undisturbed.pid, nullptr, 0) == undisturbed.pid);
    std::mt19937 random(std::random_device{}());
    int none = 0, whole = 0;
    for (int i = 0; i < 60; ++i) {
        const auto child = start();
        ::usleep(static_cast<useconds_t>(std::uniform_int_distribution<int64_t>(0, takes * 3 / 2)(random)));
        REQUIRE(::kill(child.pid, i % 2 == 0 ? SIGTERM : SIGKILL) == 0);
        REQUIRE(::waitpid(child.pid, nullptr, 0) == child.pid);
        (fs::exists(image) ? whole : none) += 1;
        for (const auto &entry : fs::directory_iterator(host.scratch.path("images"))) {
            const std::string name = entry.path().filename();
            INFO(name);
            CHECK((name == "disk.qcow2" || name == "disk.qcow2.runvm" || name.starts_with("disk.qcow2.runvm.")));
        }
        if (fs::exists(image)) CHECK(base::read_file(image) == "abcd");
    }
    // Some were killed before it, and some after.
    CHECK(none > 0);
    CHECK(whole > 0);
}

TEST_CASE("a directory that can't go over virtiofs goes over 9p with a reason if it may, and is refused if it must") {
    Host host;
    const std::string kernel = host.scratch.path("kernel"), many = host.scratch.path("many");
    fs::create_directory(many);
    for (int i = 0; i < 700; ++i) std::ofstream(many + "/" + std::to_string(i)) << i;
    const auto run = [&](std::vector<std::string> more) {
        std::vector<std::string> words{"--kernel", kernel, "--init", "/x", "--modules", ""};
        words.insert(words.end(), more.begin(), more.end());
        fs::remove(host.scratch.path("images/disk.qcow2"));  // QEMU's stand-in made it
        return host.runvm(words);
    };
    const std::string share = R"({"tag":"m","source":")" + many + R"(","target":"/mnt/m","readOnly":true})";
    const auto printed = run({"--print", "--share-kind", "auto"});
    CHECK(printed.status == 0);
    CHECK(!printed.output.contains("vhost-user-fs"));
    CHECK(run({"--print", "--share-kind", "virtiofs"}).output.contains("runvm itself starts and watches virtiofsd"));
    const auto without = run({"--share-kind", "virtiofs"});
    CHECK(without.status == 124);
    CHECK(without.output.contains(
        "share over virtiofs 'xchg': share over virtiofs 'virtiofsd': it was not found: install virtiofsd 1.x"));
    CHECK(fs::is_empty(host.scratch.path("images")));
    CHECK(run({"--share-kind", "auto"})
              .output.contains("directories are shared over 9p: share over virtiofs 'virtiofsd': it was not found"));
    host.program("virtiofsd", "echo virtiofsd 1.13\n");
    host.before = {"sh", "-c", "ulimit -n 1500 && exec \"$@\"", "sh"};
    const auto few = run({"--share-kind", "auto", "--shared-directories", share});
    CHECK(few.output.contains("m is shared over 9p: count files '" + many +
                              "': it has more files than virtiofsd may have descriptors (1500)"));
    CHECK(run({"--share-kind", "virtiofs", "--shared-directories", share}).status == 124);
    const std::string mapped =
        R"({"tag":"m","source":")" + many + R"(","target":"/mnt/m","proto":"virtiofs","securityModel":"mapped-xattr"})";
    CHECK(run({"--shared-directories", mapped}).output.contains("securityModel mapped-xattr needs 9p"));
    if (::geteuid() == 0) {
        const std::string open = R"({"tag":"m","source":"/tmp","target":"/mnt/m","proto":"virtiofs"})";
        CHECK(run({"--shared-directories", open}).output.contains("would be real on this host"));
    }
}

TEST_CASE("runvm stop says that a machine was ended without its power button, where its QEMU has none yet") {
    const Host host;
    host.program("qemu-img", "sleep 20\n");
    const auto program = fs::read_symlink("/proc/self/exe").parent_path().parent_path() / "runvm";
    const auto kernel = host.scratch.path("kernel");
    const auto child =
        base::start({.argv = {program, "run", "--name", "web", "--store", "/tmp", "--accel", "tcg", "--kernel", kernel,
                              "--initrd", kernel, "--init", "/x", "--disk-image", host.scratch.path("images/disk.qcow2")},
                     .environment = host.environment,
                     .capture_output = true});
    REQUIRE(child);
    while (!fs::exists(host.scratch.path("run/runvm/web"))) ::usleep(1000);
    const auto stop = base::run({.argv = {program, "stop", "web"}, .environment = host.environment, .capture_output = true});
    REQUIRE(stop);
    CHECK(stop->status == 0);
    CHECK(stop->output == "runvm: web was ended without its power button: its QEMU did not run yet, or did not answer\n");
    REQUIRE(::waitpid(child->pid, nullptr, 0) == child->pid);
}

TEST_CASE("the commands that show more of a failed run can be pasted, whatever its name") {
    Host host;
    host.environment.push_back("XDG_STATE_HOME=" + host.scratch.path("images"));
    host.program("qemu-system-x86_64",
                 "[ \"$1\" = --version ] && { echo 'QEMU emulator version 10.0.0'; exit; }\n"
                 "[ \"$1\" = -sandbox ] && exit\n[ \"$1\" = -help ] && exit\nexit 1\n");
    const auto exit = host.runvm(
        {"--name", "my web", "--kernel", host.scratch.path("kernel"), "--initrd", host.scratch.path("kernel"), "--init", "/x"});
    INFO(exit.output);
    CHECK(exit.status == 123);
    CHECK(exit.output.contains("look: runvm logs 'my web'; exit status 123"));
}

TEST_CASE("a machine whose starter was interrupted ends in order, and how it ended is kept") {
    Host host;
    host.environment.push_back("XDG_STATE_HOME=" + host.scratch.path("images"));
    host.program("qemu-system-x86_64",
                 "[ \"$1\" = --version ] && { echo 'QEMU emulator version 10.0.0'; exit; }\n"
                 "[ \"$1\" = -sandbox ] && exit\n[ \"$1\" = -help ] && exit\n"
                 ": >\"${0%/*}/started\"\nuntil [ -e \"${0%/*}/end\" ]; do sleep 0.1; done\nexit 1\n");
    const auto program = fs::read_symlink("/proc/self/exe").parent_path().parent_path() / "runvm";
    const auto kernel = host.scratch.path("kernel");
    const auto starter = base::start({.argv = {program, "start", "--wait", "--name", "web", "--store", "/tmp", "--accel", "tcg",
                                               "--kernel", kernel, "--initrd", kernel, "--init", "/x", "--disk-image", ""},
                                      .environment = host.environment,
                                      .capture_output = true});
    REQUIRE(starter);
    while (!fs::exists(host.scratch.path("bin/started"))) ::usleep(1000);
    REQUIRE(::kill(starter->pid, SIGINT) == 0);
    REQUIRE(::waitpid(starter->pid, nullptr, 0) == starter->pid);
    std::ofstream(host.scratch.path("bin/end")).flush();
    const auto status = [&] {
        const auto exit =
            base::run({.argv = {program, "status", "web"}, .environment = host.environment, .capture_output = true});
        REQUIRE(exit);
        return exit->output;
    };
    while (status().contains("pid")) ::usleep(10'000);
    CHECK(status().contains("exit 123: QEMU failed"));
    CHECK(fs::is_empty(host.scratch.path("run/runvm")));
}
