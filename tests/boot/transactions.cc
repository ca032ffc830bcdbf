// What a machine added to its store: copied to the host's store by a real Nix, or rolled back, also if QEMU is killed at any
// moment on the way.

#include <catch_amalgamated.hpp>
#include <csignal>
#include <filesystem>
#include <format>
#include <fstream>
#include <random>
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

constexpr const char *guest_words = R"sh(set -e
valid() { nix-store --check-validity "$1" 2>/dev/null; }
there() { [ -e "$1" ]; }
refuse() { if "$@"; then echo "unexpected: $*"; exit 1; fi; }
tell() { cat >/tmp/told; cp /tmp/told /tmp/shared/$1.part; mv /tmp/shared/$1.part /tmp/shared/$1; }
)sh";

// A machine with a disk, and a separate host store that Nix may write to.
class Transactions {
  public:
    Transactions() : place_(std::string(guest_words) + ". /tmp/shared/now") { copy_fixture(host()); }

    [[nodiscard]] std::string host() const { return place_.directory() + "/host"; }
    [[nodiscard]] const Place &place() const { return place_; }

    // Boots with this script, followed by a report of `up`.
    pid_t start(const std::string &script, const std::string &store_kind = "9p") const {
        fs::remove(place_.shared() + "/up");
        std::ofstream(place_.shared() + "/now") << script << "\necho up | tell up; sleep 1000\n";
        return place_.launch({"run", "--name", "vm", "--timeout", "400", "--union", "disk", "--store", host() + "/nix/store",
                              "--store-kind", store_kind});
    }
    void wait() const {
        INFO(place_.output());
        REQUIRE(within(200, [&] { return fs::exists(place_.shared() + "/up"); }));
    }
    [[nodiscard]] std::string told(const std::string &name) const {
        return base::read_file(place_.shared() + "/" + name).value_or("");
    }
    // Like a power cut: QEMU and the guest can't shut down.
    static void cut(pid_t launcher) {
        if (const pid_t qemu = Place::qemu_of(launcher); qemu != 0) (void)::kill(qemu, SIGKILL);
        (void)wait_for_end(launcher);
    }

    [[nodiscard]] std::vector<std::string> commit_words() const { return {"commit", "--store", host() + "/nix/store", "vm"}; }
    [[nodiscard]] base::Exit nix_store(const std::vector<std::string> &words) const {
        std::vector<std::string> argv{"nix-store", "--store", host()};
        argv.insert(argv.end(), words.begin(), words.end());
        const auto exit = base::run({.argv = argv, .capture_output = true});
        REQUIRE(exit);
        return *exit;
    }
    [[nodiscard]] bool host_has(const std::string &path) const { return nix_store({"--check-validity", path}).status == 0; }
    void check_host() const {
        const auto verified = nix_store({"--verify", "--check-contents"});
        INFO(verified.output);
        CHECK(verified.status == 0);
        CHECK_FALSE(verified.output.contains("was modified"));
        CHECK_FALSE(verified.output.contains("disappeared"));
    }

  private:
    OwnCache cache_;  // of store images
    Place place_;
};

std::vector<std::string> words_of_line(const std::string &text) {
    std::istringstream stream(text);
    std::vector<std::string> words;
    for (std::string word; stream >> word;) words.push_back(word);
    return words;
}

constexpr const char *add_and_build = R"sh(
mkdir /tmp/tree; echo one >/tmp/tree/file; ln -s file /tmp/tree/link; echo '#!/bin/sh' >/tmp/tree/program; chmod +x /tmp/tree/program
added=$(nix-store --add /tmp/tree)
bash=$(dirname $(dirname $(readlink -f $(command -v bash))))
cat >/tmp/build.nix <<NIX
derivation {
  name = "built";
  system = "x86_64-linux";
  builder = builtins.storePath $bash + "/bin/bash";
  args = [ "-c" "echo made of \${builtins.storePath $added} > \$out" ];
}
NIX
built=$(nix-build --no-out-link /tmp/build.nix)
echo junk >/nix/store/0123456789abcdfghijklmnpqrsvwxyz-junk
echo $added $built | tell paths
)sh";

}  // namespace

TEST_CASE("what a machine added and built is brought to the host's store by a real Nix, and what was changed since is refused") {
    const Transactions vm;
    const pid_t launcher = vm.start(std::string(add_and_build) + R"sh(
{ until [ -e /tmp/shared/change ]; do sleep 0.2; done
  echo two >/tmp/two; late=$(nix-store --add /tmp/two); chmod u+w $late; echo three >$late; echo $late | tell late; } &)sh",
                                    "erofs");
    vm.wait();
    const auto paths = words_of_line(vm.told("paths"));
    REQUIRE(paths.size() == 2);
    auto words = vm.commit_words();
    words.emplace_back("--dry-run");
    const auto dry = vm.place().runvm(words);
    CHECK(dry.status == 0);
    CHECK_THAT(dry.output,
               ContainsSubstring(paths[0] + ", ") && ContainsSubstring(paths[1] + ", ") && !ContainsSubstring("junk"));
    CHECK_FALSE(vm.host_has(paths[0]));
    const auto done = vm.place().runvm(vm.commit_words());
    INFO(done.output);
    CHECK(done.status == 0);
    CHECK(vm.host_has(paths[0]));
    CHECK(vm.host_has(paths[1]));
    CHECK(vm.nix_store({"-q", "--references", paths[1]}).output.contains(paths[0]));
    CHECK(base::read_file(vm.host() + paths[1]).value_or("") == "made of " + paths[0] + "\n");
    CHECK((fs::status(vm.host() + paths[0] + "/program").permissions() & fs::perms::owner_exec) != fs::perms::none);
    CHECK_FALSE(fs::exists(vm.host() + "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-junk"));
    vm.check_host();
    const auto again = vm.place().runvm(vm.commit_words());
    CHECK(again.status == 0);
    CHECK_THAT(again.output, ContainsSubstring("the machine has added nothing that the host's store lacks"));
    std::ofstream(vm.place().shared() + "/change") << "now";
    REQUIRE(within(100, [&] { return fs::exists(vm.place().shared() + "/late"); }));
    const auto refused = vm.place().runvm(vm.commit_words());
    CHECK(refused.status == 124);
    CHECK_THAT(refused.output, ContainsSubstring("the path has changed since; nothing is imported"));
    CHECK_FALSE(vm.host_has(words_of_line(vm.told("late")).at(0)));
    Transactions::cut(launcher);
}

TEST_CASE("a machine that is killed while it is committed leaves the host's store whole, and is committed later") {
    const Transactions vm;
    std::random_device seed;
    std::mt19937 random(seed());
    const std::string temporary = vm.place().directory() + "/tmp";
    fs::create_directory(temporary);
    pid_t launcher = vm.start(R"sh(
mkdir /tmp/tree; for i in 1 2 3 4 5 6; do head -c 2000000 /dev/urandom >/tmp/tree/$i; done
big=$(nix-store --add /tmp/tree); echo small >/tmp/small; small=$(nix-store --add /tmp/small)
sync; echo $big $small | tell paths)sh");
    std::vector<std::string> paths;
    for (int round = 0; round < 2; ++round) {
        vm.wait();
        if (round == 0) paths = words_of_line(vm.told("paths"));
        REQUIRE(paths.size() == 2);
        std::vector<std::string> argv{"env", "TMPDIR=" + temporary};
        for (auto &word : vm.place().words(vm.commit_words()))
            if (word != "-u" && word != "TMPDIR") argv.push_back(std::move(word));
        const auto commit = base::start({.argv = argv, .dies_with_parent = true});
        REQUIRE(commit);
        const int delay_ms = std::uniform_int_distribution<int>(20, 1500)(random);
        INFO("round " << round << ", cut after " << delay_ms << " ms");
        if (round < 1) {
            pause_ms(delay_ms);
            Transactions::cut(launcher);
        }
        const int status = wait_for_end(commit->pid);
        CHECK(fs::is_empty(temporary));
        vm.check_host();
        for (const auto &path : paths) {
            CHECK(vm.host_has(path) == (status == 0));
            CHECK(fs::exists(vm.host() + path) == (status == 0));
        }
        if (round == 1) CHECK(status == 0);
        if (round < 1) launcher = vm.start("");
    }
    Transactions::cut(launcher);
}

TEST_CASE("a rollback takes what a machine added and its registration, though the boots that do it are killed") {
    const Transactions vm;
    std::random_device seed;
    std::mt19937 random(seed());
    pid_t launcher = vm.start(R"sh(
bash=$(dirname $(dirname $(readlink -f $(command -v bash))))
chmod u+w $bash/bin; echo changed >$bash/bin/changed
echo one >/tmp/one; added=$(nix-store --add /tmp/one); valid $added; echo $added >/added; sync)sh");
    vm.wait();
    const auto asked = vm.place().runvm({"rollback", "vm"});
    CHECK(asked.status == 0);
    CHECK_THAT(asked.output, ContainsSubstring("what this machine added to its store goes at its next boot"));
    Transactions::cut(launcher);
    // The second start of a closure has its store as an image.
    for (int round = 0; round < 2; ++round) {
        launcher = vm.start("", "erofs");
        pause_ms(std::uniform_int_distribution<int>(1500, 7000)(random));
        Transactions::cut(launcher);
    }
    launcher = vm.start(R"sh(
refuse there $(cat /added); refuse valid $(cat /added)
bash=$(dirname $(dirname $(readlink -f $(command -v bash)))); refuse there $bash/bin/changed
nix-store --verify --check-contents 2>&1 | tell verified
echo two >/tmp/two; nix-store --add /tmp/two >/added; sync; echo rolled back)sh",
                        "erofs");
    vm.wait();
    CHECK_FALSE(vm.told("verified").contains("was modified"));
    CHECK_FALSE(vm.told("verified").contains("disappeared"));
    Transactions::cut(launcher);
    launcher = vm.start("valid $(cat /added); there $(cat /added)");
    vm.wait();
    Transactions::cut(launcher);
}

TEST_CASE("commit and rollback of a store that nothing can be added to say so") {
    const Place place("echo up >/tmp/shared/up; sleep 1000");
    const pid_t launcher = place.launch({"run", "--name", "plain", "--timeout", "200", "--union", "off"});
    (void)place.wait_for("up");
    const auto commit = place.runvm({"commit", "--store", fixture() + "/root/nix/store", "plain"});
    CHECK(commit.status == 124);
    CHECK_THAT(commit.output, ContainsSubstring("there is no union over the store, so that nothing was added to it"));
    const auto rollback = place.runvm({"rollback", "plain"});
    CHECK(rollback.status == 124);
    CHECK_THAT(rollback.output, ContainsSubstring("the store of this machine has no union"));
    Transactions::cut(launcher);
}
