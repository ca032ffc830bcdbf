#include "hostside/boot/initrd.h"

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>
#include <fstream>

#include "hostside/boot/cpio.h"

namespace {

namespace fs = std::filesystem;

// A stage1 and one kernel's modules in a temporary directory.
struct Source {
    fs::path directory;
    Source() {
        std::string name = fs::temp_directory_path() / "initrd-XXXXXX";
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        directory = name;
        write("stage1", "not really ELF");
        write("lib/modules/6.1/modules.dep", "kernel/a.ko: kernel/b.ko\nkernel/b.ko:\nkernel/unused.ko:\n");
        write("lib/modules/6.1/modules.alias", "alias fs-a a\nalias fs-unused unused\n");
        write("lib/modules/6.1/modules.softdep", "softdep unused pre: a\n");
        write("lib/modules/6.1/modules.builtin", "kernel/fs/inside.ko\n");
        for (const char *module : {"a", "b", "unused"}) write(std::format("lib/modules/6.1/kernel/{}.ko", module), module);
    }
    ~Source() { fs::remove_all(directory); }
    Source(const Source &) = delete;
    Source &operator=(const Source &) = delete;
    void write(const fs::path &path, std::string_view text) const {
        fs::create_directories((directory / path).parent_path());
        std::ofstream(directory / path) << text;
    }
    [[nodiscard]] hostside::InitrdSpec spec(std::vector<std::string> names) const {
        return {directory / "stage1", directory, "6.1", std::move(names), {}, false};
    }
};

// The names in an archive, one per line, parsed by the format's rules: a header of 110 bytes, name and data padded to 4.
std::string names_in(std::string_view bytes) {
    std::string names;
    while (bytes.size() > 110 && bytes.starts_with("070701")) {
        const auto number = [&](size_t field) { return std::stoul(std::string(bytes.substr(6 + 8 * field, 8)), nullptr, 16); };
        const size_t name = number(11);
        const size_t data = number(6);
        const std::string_view text = bytes.substr(110, name - 1);
        if (text == "TRAILER!!!") break;
        names.append(text) += '\n';
        bytes.remove_prefix((110 + name + 3) / 4 * 4 + (data + 3) / 4 * 4);
    }
    return names;
}

}  // namespace

TEST_CASE("the same initrd is the same bytes, and holds what the machine needs and no more") {
    const Source source;
    const auto first = build_initrd(source.spec({"a", "inside"}));
    REQUIRE(first);
    CHECK(*first == build_initrd(source.spec({"inside", "a"})));
    CHECK(names_in(*first) ==
          "dev\nproc\nsys\nrun\netc\netc/stage1\nmnt-root\nsbin\ndev/console\ninit\nsbin/modprobe\nlib\nlib/modules\nlib/modules/"
          "6.1\n"
          "lib/modules/6.1/kernel\nlib/modules/6.1/kernel/a.ko\nlib/modules/6.1/kernel/b.ko\nlib/modules/6.1/modules.dep\n"
          "lib/modules/6.1/modules.alias\nlib/modules/6.1/modules.softdep\nlib/modules/6.1/modules.builtin\n");
}

TEST_CASE("a module that is nowhere is named, with the kernel") {
    const Source source;
    CHECK(
        base::message(build_initrd(source.spec({"9p"})).error()) ==
        std::format("find module '9p': kernel 6.1 has it neither as a module in {0}/lib/modules/6.1 nor built in; use a kernel "
                    "that has it, or share nothing over 9p: --share-kind virtiofs, and --store-kind erofs or virtiofs (Debian's "
                    "'cloud' flavour has these)",
                    source.directory.string()));
}

TEST_CASE("modules of another kernel are not taken") {
    const Source source;
    CHECK(base::message(hostside::modules_directory(source.directory, "6.2").error()) ==
          std::format("find modules '{}': it has modules for 6.1, but not for 6.2", source.directory.string()));
    CHECK(hostside::modules_directory(source.directory, "") == source.directory.string() + "/lib/modules/6.1");
}

TEST_CASE("an initrd without stage1 says how to name it") {
    CHECK(base::message(hostside::build_initrd({"/none/stage1", "", "", {}, {}, false}).error()) ==
          "open '/none/stage1': No such file or directory; the initrd needs the stage1 program; build it, or name it with "
          "--stage1");
}

TEST_CASE("signatures stay where the kernel enforces them") {
    CHECK(hostside::signatures_enforced("A=y\nCONFIG_MODULE_SIG_FORCE=y\n", ""));
    CHECK(hostside::signatures_enforced("", "quiet lockdown=integrity"));
    CHECK(hostside::signatures_enforced("", "module.sig_enforce"));
    CHECK_FALSE(hostside::signatures_enforced("\nCONFIG_MODULE_SIG=y\n# CONFIG_MODULE_SIG_FORCE is not set\n", "lockdown=none"));
}

TEST_CASE("an archive ends in its trailer and on a block's border") {
    hostside::Cpio cpio;
    cpio.file("a/b", "text");
    const std::string bytes = std::move(cpio).finish();
    CHECK(bytes.size() % 512 == 0);
    CHECK(bytes.starts_with("07070100000001000041ED"));
    CHECK(bytes.find("TRAILER!!!") != std::string::npos);
}
