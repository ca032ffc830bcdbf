// Options that a kernel's configuration lacks, wherever the configuration is found.
#include "hostside/boot/kernel_config.h"

#include <elf.h>
#include <sys/stat.h>
#include <unistd.h>
#include <catch_amalgamated.hpp>

#include <algorithm>
#include <filesystem>
#include <format>
#include <fstream>

#include "mounts/base/process.h"
#include "tests/support/disk.h"

namespace {

using hostside::kernel_config;
using hostside::lacks;

std::vector<std::string> names(std::string_view config) {
    std::vector<std::string> options;
    for (const auto &lack : lacks(config)) options.push_back(lack.option);
    return options;
}

// Has everything that a machine needs, built in.
std::string whole() {
    std::string config;
    for (const auto &lack : lacks("")) config += lack.option + "=y\n";
    return config;
}

}  // namespace

TEST_CASE("a configuration with all options lacks nothing, and each that is left out is told with what won't work") {
    CHECK(lacks("").size() == hostside::needed_options());
    CHECK(names(whole()).empty());
    for (const auto &lack : lacks("")) {
        std::string config = whole();
        config.replace(config.find(lack.option + "=y"), lack.option.size() + 2, "# " + lack.option + " is not set");
        CHECK(names(config) == std::vector{lack.option});
        CHECK_FALSE(lack.without.empty());
    }
}

TEST_CASE("a module counts where it may be one, and is told where it comes too late") {
    std::string config = whole();
    const auto as_module = [&](const std::string &option) {
        config.replace(config.find(option + "=y"), option.size() + 2, option + "=m");
    };
    as_module("CONFIG_9P_FS");
    CHECK(lacks(config).empty());
    as_module("CONFIG_TMPFS");
    REQUIRE(lacks(config).size() == 1);
    CHECK(lacks(config)[0].without.ends_with("; as a module, it loads too late"));
}

TEST_CASE("Debian's kernel for clouds lacks 9p alone, and runvm check says that virtiofs can replace it") {
    // What linux-config-6.12 (6.12.117) says of these options in config.amd64_none_cloud-amd64, in its order.
    constexpr auto cloud = R"(CONFIG_BLK_DEV_INITRD=y
CONFIG_RD_GZIP=y
CONFIG_MODULES=y
CONFIG_BINFMT_ELF=y
CONFIG_BINFMT_SCRIPT=y
CONFIG_NET=y
CONFIG_UNIX=y
CONFIG_INET=y
CONFIG_VIRTIO_VSOCKETS=m
# CONFIG_NET_9P is not set
CONFIG_PCI=y
CONFIG_DEVTMPFS=y
CONFIG_BLK_DEV=y
CONFIG_VIRTIO_BLK=m
CONFIG_PVPANIC=y
CONFIG_SCSI_VIRTIO=m
CONFIG_NETDEVICES=y
CONFIG_NET_CORE=y
CONFIG_VIRTIO_NET=m
CONFIG_SERIAL_8250=y
CONFIG_SERIAL_8250_CONSOLE=y
CONFIG_VIRTIO_CONSOLE=y
CONFIG_HW_RANDOM_VIRTIO=m
CONFIG_VIRTIO_PCI=y
CONFIG_VIRTIO_BALLOON=m
CONFIG_EXT4_FS=y
CONFIG_FUSE_FS=y
CONFIG_VIRTIO_FS=y
CONFIG_OVERLAY_FS=m
CONFIG_PROC_FS=y
CONFIG_SYSFS=y
CONFIG_TMPFS=y
CONFIG_EROFS_FS=m
CONFIG_NETWORK_FILESYSTEMS=y
)";
    CHECK(names(cloud) == std::vector<std::string>{"CONFIG_NET_9P", "CONFIG_NET_9P_VIRTIO", "CONFIG_9P_FS"});
    const support::ScratchDirectory scratch;
    const auto check = [&](const std::string &config) {
        std::ofstream(scratch.path("config")) << config;
        const auto runvm = std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "runvm";
        const auto exit = base::run({.argv = {runvm, "check", scratch.path("config")}, .capture_output = true});
        REQUIRE(exit);
        return std::pair(exit->status, exit->output);
    };
    const auto [status, said] = check(cloud);
    CHECK(status == 0);
    for (const char *words :
         {"without CONFIG_NET_9P: nothing can be shared over 9p, the default; use --share-kind virtiofs",
          "without CONFIG_NET_9P_VIRTIO: ", "without CONFIG_9P_FS: ", "config: a machine boots with this kernel\n"})
        CHECK_THAT(said, Catch::Matchers::ContainsSubstring(words));
    // Without virtiofs, nothing replaces 9p.
    std::string neither = cloud;
    neither.replace(neither.find("CONFIG_VIRTIO_FS=y"), 18, "");
    const auto [failure, why] = check(neither);
    CHECK(failure == 1);
    for (const char *words : {"missing CONFIG_NET_9P: ", "missing CONFIG_NET_9P_VIRTIO: ", "missing CONFIG_9P_FS: ",
                              "without CONFIG_VIRTIO_FS: no virtiofs", "config: no machine boots with this kernel\n"})
        CHECK_THAT(why, Catch::Matchers::ContainsSubstring(words));
}

TEST_CASE("a configuration is read plain, compressed, from within a kernel, and from beside one") {
    const support::ScratchDirectory scratch;
    const auto put = [&](const std::string &name, const std::string &text) { std::ofstream(scratch.path(name)) << text; };
    put("plain", "CONFIG_NET=y\n");
    CHECK(kernel_config(scratch.path("plain")).value() == "CONFIG_NET=y\n");
    const auto packed = base::run({.argv = {"gzip", "-k", scratch.path("plain")}});
    REQUIRE((packed && packed->status == 0));
    CHECK(kernel_config(scratch.path("plain.gz")).value() == "CONFIG_NET=y\n");
    std::ifstream stream(scratch.path("plain.gz"), std::ios::binary);
    const std::string gzip{std::istreambuf_iterator<char>(stream), {}};
    put("vmlinux", ELFMAG + std::string(100, '\0') + "IKCFG_ST, its name alone" + "IKCFG_ST" + gzip + "IKCFG_ED" + "more");
    CHECK(kernel_config(scratch.path("vmlinux")).value() == "CONFIG_NET=y\n");
    put("bare", ELFMAG + std::string(100, '\0'));
    CHECK(kernel_config(scratch.path("bare")).error().hint.starts_with("it doesn't contain its configuration (CONFIG_IKCONFIG)"));
    REQUIRE(::mkfifo(scratch.path("config").c_str(), 0600) == 0);  // nobody writes to it
    CHECK(kernel_config(scratch.path("bare")).error().hint.starts_with("it doesn't contain its configuration (CONFIG_IKCONFIG)"));
    REQUIRE(::unlink(scratch.path("config").c_str()) == 0);
    put("config", "CONFIG_INET=y\n");
    CHECK(kernel_config(scratch.path("bare")).value() == "CONFIG_INET=y\n");
    put("text", "words");
    CHECK(kernel_config(scratch.path("text")).error().hint ==
          "it is neither an x86 kernel nor a kernel's configuration, plain or compressed");
    CHECK(kernel_config(scratch.path("gone")).error().code == ENOENT);
}
