// FLAKE#HOST as a system: the arguments for Nix, and a real Nix that builds one.

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <fstream>

#include "hostside/cli/flake_system.h"
#include "mounts/base/process.h"
#include "tests/support/nix_root.h"

namespace {

namespace fs = std::filesystem;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;
using hostside::flake_output;

// Runs the real runvm with this PATH and without the caller's Nix.
base::Exit runvm(const nix_test::Root &root, const std::string &path, std::vector<std::string> words) {
    words.insert(words.begin(), {"/usr/bin/env", "-C", root.path, "PATH=" + path, "HOME=" + root.path, "TMPDIR=" + root.path,
                                 "NIX_REMOTE=local?root=" + root.path + "/store", "NIX_CONF_DIR=" + root.path,
                                 fs::path(fs::read_symlink("/proc/self/exe")).parent_path().parent_path() / "runvm"});
    auto exit = base::run({.argv = std::move(words), .capture_output = true});
    REQUIRE(exit);
    return *exit;
}

}  // namespace

TEST_CASE("a host of a flake is asked of nix as nixos-rebuild asks, and a word without a # is none") {
    const auto output = [](const char *word) { return flake_output(word).value().value_or("none"); };
    CHECK(output(".#host") == R"(.#nixosConfigurations."host".config.system.build.toplevel)");
    CHECK(output("#a.b") == R"(.#nixosConfigurations."a.b".config.system.build.toplevel)");
    CHECK(output("github:me/hosts?dir=x#web") ==
          R"(github:me/hosts?dir=x#nixosConfigurations."web".config.system.build.toplevel)");
    CHECK(output("./result") == "none");
    for (const char *const word : {".#", ".#a\"b", ".#${a}", ".#a\\b", "a#b#c"}) CHECK(!flake_output(word));
}

TEST_CASE("without a nix in PATH a flake's system is refused, and a directory with a # in its name is a directory") {
    const nix_test::Root root;
    const auto refused = runvm(root, root.path, {"config", ".#host"});
    CHECK(refused.status == 124);
    CHECK_THAT(refused.output, ContainsSubstring("'.#host'") && ContainsSubstring("there is no nix in PATH"));
    fs::create_directory(root.path + "/system#2");
    const auto taken = runvm(root, root.path, {"config", "system#2"});
    CHECK(taken.status == 0);
    CHECK_THAT(taken.output, ContainsSubstring("toplevel = \"system#2\""));
}

TEST_CASE("a real Nix builds the system of a flake's host; a host that the flake has not is Nix's to tell") {
    const std::string suite = GENERATE("bookworm", "sid");
    const nix_test::Nix nix(suite);
    if (!fs::exists("/bin/busybox")) SKIP("a build needs /bin/busybox");
    const nix_test::Root root;
    const std::string flake = root.path + "/flake";
    fs::create_directory(flake);
    fs::copy_file("/bin/busybox", flake + "/busybox");
    std::ofstream(flake + "/flake.nix") << R"({
  outputs = { self }: {
    nixosConfigurations."web.one".config.system.build.toplevel = derivation {
      name = "nixos-system-web"; system = "x86_64-linux"; builder = "${self}/busybox"; args = [ "sh" "-c" "echo built >$out" ];
    };
  };
}
)";
    std::ofstream(root.path + "/nix.conf") << nix.configuration();
    const std::string path = nix.directory() + ":/usr/bin:/bin";
    const auto built = runvm(root, path, {"config", "path:" + flake + "#web.one"});
    INFO(built.output);
    CHECK(built.status == 0);
    const size_t at = built.output.find("toplevel = \"/nix/store/");
    REQUIRE(at != std::string::npos);
    const size_t begin = built.output.find('/', at), end = built.output.find('"', begin);
    const std::string system = built.output.substr(begin, end - begin);
    CHECK_THAT(system, EndsWith("-nixos-system-web"));
    CHECK(fs::exists(root.path + "/store" + system));

    const auto missing = runvm(root, path, {"config", "path:" + flake + "#mail"});
    CHECK(missing.status == 124);
    CHECK_THAT(missing.output, ContainsSubstring("does not provide attribute") && ContainsSubstring("ended with status 1"));
    for (const auto &left : fs::directory_iterator(root.path)) CHECK(!left.path().filename().string().starts_with("runvm-flake"));
}
