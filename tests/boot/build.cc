// A derivation built inside a machine: `runvm build`. The builders are scripts for the fixture's bash and tools.

#include <sys/stat.h>

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>
#include <fstream>

#include "mounts/base/at.h"
#include "tests/boot/machine.h"
#include "tests/boot/place.h"

namespace {

namespace fs = std::filesystem;
using namespace boot_test;
using Catch::Matchers::ContainsSubstring;

constexpr const char *stays_up = "sleep 1000";
constexpr const char *out = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-built";

std::string tool(const char *name) {
    return fs::read_symlink(fixture() + "/root" + fixture_toplevel() + "/sw/bin/" + name).string();
}

struct Ran {
    int status = -1;
    std::string output, said;
};

class Build {
  public:
    // `variables`: more lines for its env-vars.
    explicit Build(const std::string &variables = "") : place_(stays_up) {
        fs::create_directory(place_.directory() + "/drv");
        std::ofstream(place_.directory() + "/drv/env-vars") << std::format(
            "declare -x PATH=\"{}\"\ndeclare -x out=\"{}\"\n{}",
            fs::path(tool("cat")).parent_path().string() + ":" + fs::path(tool("seq")).parent_path().string(), out, variables);
    }
    [[nodiscard]] std::string path(const std::string &name) const { return place_.directory() + "/" + name; }

    // Runs a line in the host's shell.
    Ran shell(const std::string &line) const {
        std::vector<std::string> words = place_.words({"exec"});
        std::string program;
        for (const auto &word : words) program += word == "exec" ? "" : word + " ";
        const auto exit =
            base::run({.argv = {"/bin/bash", "-c",
                                std::format("cd {}\nrunvm='{}'\n{{ {}\n}} >output 2>said", place_.directory(), program, line)}});
        REQUIRE(exit);
        return {exit->status, base::read_file(path("output")).value_or(""), base::read_file(path("said")).value_or("")};
    }

    Ran build(const std::string &flags, const std::string &script, const std::string &system = fixture_toplevel()) const {
        std::ofstream(path("script")) << script;
        return shell(std::format(R"sh($runvm build --accel tcg --store {}/root/nix/store --toplevel {} --timeout 300 \
            --derivation drv --out result {} -- {} -euc "$(cat script)")sh",
                                 fixture(), system, flags, tool("bash")));
    }

  private:
    Place place_;
};

std::string base32_in(const std::string &text) {
    const size_t at = text.find("sha256:");
    return at == std::string::npos ? "" : text.substr(at + 7, 52);
}

TEST_CASE("a build of 200 MB in a machine that is powered off right after it is whole, here and on its disk") {
    const Build build("declare -x lib=\"" + std::string(out) + "-lib\"\ndeclare -x outputs=\"out lib\"\n");
    const Ran ran = build.build("--union disk --disk-size 1G", R"(
mkdir $out $lib
head -c 200000000 /dev/urandom >$out/big
ln -s $lib/file $out/link
echo '#! /bin/sh' >$lib/file
chmod +x $lib/file
# It writes on after us.
while :; do echo more >>$lib/growing; done &
until [ -s $lib/growing ]; do :; done)");
    INFO(ran.said);
    REQUIRE(ran.status == 0);
    const std::string here = base32_in(ran.said);
    CHECK_THAT(must_run({"nix-hash", "--type", "sha256", "--base32", build.path("result/out")}), ContainsSubstring(here));
    CHECK_THAT(must_run({"nix-hash", "--type", "sha256", "--base32", build.path("result/lib")}),
               ContainsSubstring(base32_in(ran.said.substr(ran.said.find("lib: ")))));
    CHECK(here.size() == 52);
    CHECK(fs::read_symlink(build.path("result/out/link")) == std::string(out) + "-lib/file");
    CHECK((fs::status(build.path("result/lib/file")).permissions() & fs::perms::owner_exec) != fs::perms::none);
    CHECK(fs::file_size(build.path("result/lib/growing")) % 5 == 0);
    // The data is on the guest's disk, although the machine is gone.
    const Ran there =
        build.shell(std::format("$runvm exec --accel tcg --store {}/root/nix/store --toplevel {} --timeout 300 "
                                "--union disk -- sha256sum {}/big; sha256sum result/out/big",
                                fixture(), fixture_toplevel(), out));
    INFO(there.said);
    REQUIRE(there.output.size() > 64);
    CHECK(there.output.find(there.output.substr(0, 64), 64) != std::string::npos);
}

TEST_CASE("a builder has what Nix gives it and no more, and of a build that fails the log and the tree are kept") {
    const Build build(
        "declare -x lines=\"one\n\\$two \\\"\"\ndeclare -x passAsFile=\"text\"\ndeclare -x textPath=\"/gone/.attr-1\"\n");
    std::ofstream(build.path("drv/.attr-1")) << "long text";
    const Ran ran = build.build("--keep-failed failed --log log", R"sh(
echo "I am $(id -u):$(id -g) $(id -G) in $PWD, $TMPDIR, umask $(umask)"
echo $(compgen -e | grep -v '^_\|^OLDPWD$' | sort)
echo "<$lines> <$(cat $textPath)>"
[ -z "$(cat)" ] && echo "no input"
echo no >/etc/mine || echo "/etc is not mine"
echo no >$out-stray
mkdir half; echo there >half/file; mkdir $out; echo some >$out/part; mknod half/fifo p
echo to stderr >&2
exit 7)sh");
    INFO(ran.said);
    CHECK(ran.status == 7);
    CHECK(ran.output.empty());
    CHECK_THAT(ran.said, ContainsSubstring("I am 30001:30000 30000 in /build, /build, umask 0022\n") &&
                             ContainsSubstring("HOME NIX_BUILD_CORES NIX_BUILD_TOP NIX_LOG_FD NIX_STORE PATH PWD SHLVL TEMP "
                                               "TEMPDIR TERM TMP TMPDIR lines out passAsFile textPath\n") &&
                             ContainsSubstring("<one\n$two \"> <long text>\nno input\n") &&
                             ContainsSubstring("/etc is not mine\n") &&
                             ContainsSubstring("runvm: the builder failed with status 7\n"));
    const std::string log = base::read_file(build.path("log")).value_or("");
    CHECK_THAT(log, ContainsSubstring("I am 30001") && ContainsSubstring("to stderr\n") && !ContainsSubstring("runvm:"));
    CHECK(base::read_file(build.path("failed/build/half/file")).value_or("") == "there\n");
    CHECK_FALSE(fs::exists(build.path("failed/build/half/fifo")));
    CHECK(base::read_file(build.path("failed/out/part")).value_or("") == "some\n");
    CHECK(fs::is_empty(build.path("result")));
    const Ran refused = build.build("--keep-failed failed", "true");
    CHECK(refused.status == 124);
    CHECK_THAT(refused.said, ContainsSubstring("keep failed build 'failed': File exists"));
}

TEST_CASE("a build without its output, one that fills the disk and one that hangs are told as that") {
    const Build none;
    const Ran without = none.build("--user root", "id -u; mkdir $out-other; mkfifo /root/x");
    INFO(without.said);
    CHECK(without.status == 1);
    CHECK_THAT(without.said, ContainsSubstring("0\n") && ContainsSubstring(std::format(
                                                             "the builder succeeded, but did not make the output out, {}", out)));
    const Ran full = none.build("--memory 300", "mkdir $out; head -c 2000000000 /dev/zero >$out/big");
    INFO(full.said);
    CHECK(full.status == 1);
    CHECK_THAT(full.said,
               ContainsSubstring("No space left on device") && ContainsSubstring("the guest's /nix/store is almost full"));
    CHECK(fs::is_empty(none.path("result")));
    const Ran hung = none.build("--timeout 45", "echo waiting; sleep 1000");
    INFO(hung.said);
    CHECK(hung.status == 122);
    CHECK_THAT(hung.said, ContainsSubstring("waiting\n"));
    const Ran read_only = none.build("--union off", "true");
    CHECK(read_only.status == 124);
    CHECK_THAT(read_only.said, ContainsSubstring("a build needs a store that the guest can add to"));
}

TEST_CASE("outputs that are more than --max-output are refused, and none of them stays") {
    const std::string lib = std::string(out) + "-lib";
    const Build build(std::format("declare -x outputs=\"out lib\"\ndeclare -x lib=\"{}\"\n", lib));
    const Ran ran =
        build.build("--max-output 3M", "head -c 1000000 /dev/zero >$out; mkdir $lib; head -c 9000000 /dev/zero >$lib/big");
    INFO(ran.said);
    CHECK(ran.status == 124);
    CHECK_THAT(ran.said, ContainsSubstring("out: 1000") && ContainsSubstring("the guest sends more than 3145728 bytes in all"));
    CHECK(fs::is_empty(build.path("result")));
}

TEST_CASE("a build with structured attributes, in a machine with systemd, begins when the machine has reached its target") {
    const Build build;
    fs::remove(build.path("drv/env-vars"));
    std::ofstream(build.path("drv/.attrs.json")) << std::format(R"({{"list":["a b","c"],"outputs":{{"out":"{}"}}}})", out);
    std::ofstream(build.path("drv/.attrs.sh"))
        << std::format("declare -a list=('a b' 'c')\ndeclare -A outputs=([out]='{}')\n", out);
    const std::string system = base::read_file(fixture() + "/systemd/toplevel").value_or("");
    const Ran ran = build.build("",
                                std::format(R"sh(
source $NIX_ATTRS_SH_FILE
PATH={}
ls /run/systemd/units/ >/dev/null
printf '%s\n' "${{list[@]}}" "$NIX_ATTRS_JSON_FILE" "$(stat -c %u $NIX_ATTRS_JSON_FILE)" >${{outputs[out]}})sh",
                                            fs::path(tool("stat")).parent_path().string()),
                                system.substr(0, system.find('\n')));
    INFO(ran.said);
    CHECK(ran.status == 0);
    CHECK(base::read_file(build.path("result/out")).value_or("") == "a b\nc\n/build/.attrs.json\n30001\n");
}

}  // namespace
