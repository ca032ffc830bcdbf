// A target root whose links lead outside: stage 1's steps must stay beneath it. In a private mount namespace.
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>
#include <fstream>

#include "mounts/boot/plan.h"
#include "mounts/devices/mount_file_system.h"
#include "stage1/steps/run_step.h"
#include "tests/support/disk.h"

namespace {

namespace fs = std::filesystem;

void be_apart() {
    static const bool apart =
        ::geteuid() == 0 && ::unshare(CLONE_NEWNS) == 0 && ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
    if (!apart) SKIP("needs root, for mounts");
}

// A mounted target root in a temporary directory, and beside it `outside`, which no step may change.
class Root {
  public:
    Root() {
        be_apart();
        for (const char *directory : {"root", "outside"}) fs::create_directory(at(directory));
        REQUIRE(::mount("root", at("root").c_str(), "tmpfs", 0, "") == 0);
        fs::permissions(at("outside"), fs::perms{0700});
    }
    Root(const Root &) = delete;
    Root &operator=(const Root &) = delete;
    ~Root() { (void)::umount2(at("root").c_str(), MNT_DETACH); }

    [[nodiscard]] std::string at(const std::string &path) const { return directory_.path(path); }
    void link(const std::string &name, const std::string &to) const { fs::create_symlink(to, at("root/" + name)); }

    // Mounts the table except its root, and does what stage 1 does to every root. Returns the error; empty on success.
    [[nodiscard]] std::string mount(const std::string &fstab) const {
        auto table = mounts::parse_fstab("/dev/vda / ext4\n" + fstab, "test");
        if (!table) return message(table.error());
        mounts::PlanInput input{.file_systems = table->file_systems, .target_root = at("root"), .root_mounted = true};
        input.parameters.union_engine = mounts::UnionEngine::overlay;
        stage1::FoundDevices devices;
        for (const auto &phase : {plan_mounts(input), plan_system(input)})
            for (const auto &step : phase.steps)
                if (const auto done = stage1::run_step(step, devices); !done) return message(done.error());
        return {};
    }
    [[nodiscard]] std::string mounted(const std::string &path) const { return mounts::mounted_type(at(path)); }
    [[nodiscard]] unsigned mode(const std::string &path) const {
        return static_cast<unsigned>(fs::status(at(path)).permissions());
    }

  private:
    support::ScratchDirectory directory_;
};

}  // namespace

TEST_CASE("links of a person's disk lead on within it, those that lead nowhere yet too", "[root]") {
    const Root root;
    root.link("tmp", "/var/tmp");
    root.link("nix", "/persist/nix");
    root.link("boot", "efi");
    root.link("run", "/../../outside/run");
    CHECK(root.mount("xchg /tmp/xchg tmpfs\nstore /nix/store tmpfs x-stage1.union=tmpfs\nesp /boot tmpfs\n").empty());
    CHECK(root.mode("root/var/tmp") == 01777);
    CHECK(root.mounted("root/var/tmp/xchg") == "tmpfs");
    CHECK(root.mounted("root/persist/nix/store") == "overlay");
    CHECK(root.mounted("root/persist/nix/.ro-store") == "tmpfs");
    CHECK(root.mounted("root/efi") == "tmpfs");
    CHECK(fs::is_directory(root.at("root/outside/run")));
    CHECK(fs::is_empty(root.at("outside")));
}

TEST_CASE("nothing is mounted, made or given another mode outside the target root", "[root]") {
    const Root root;
    fs::create_directories(root.at("outside/etc/ssh"));
    fs::create_directories(root.at("root/home/a"));
    root.link("tmp", "../outside");
    root.link("etc", "/../../outside/etc");
    root.link("home/a/proj", "../../../outside/etc");
    CHECK(root.mount("proj /home/a/proj/ssh tmpfs\n").empty());
    CHECK(root.mode("outside") == 0700);
    CHECK(root.mounted("outside/etc/ssh").empty());
    CHECK_FALSE(fs::exists(root.at("outside/etc/NIXOS")));
    CHECK(root.mode("root/outside") == 01777);
    CHECK(root.mounted("root/outside/etc/ssh") == "tmpfs");
    CHECK(fs::is_regular_file(root.at("root/outside/etc/NIXOS")));
}

TEST_CASE("links that lead in a circle, and links in the union's own places, are refused by name", "[root]") {
    const Root root;
    root.link("tmp", "tmp");
    CHECK(root.mount("") == std::format("mkdir '{}': Symbolic link loop", root.at("root/tmp")));
    fs::remove(root.at("root/tmp"));
    root.link("one", "two/x");
    root.link("two", "one/x");
    CHECK(root.mount("a /one/a tmpfs\n") == std::format("mkdir '{}': Symbolic link loop", root.at("root/one/a")));

    fs::create_directories(root.at("root/nix/.rw-store"));
    fs::create_directories(root.at("root/home/work"));
    root.link("nix/.rw-store/work", "../../home");
    CHECK(root.mount("store /nix/store tmpfs x-stage1.union=disk\n") ==
          std::format("union '{}': Not a directory; the union needs a directory of its own here; move this away",
                      root.at("root/nix/.rw-store/work")));
    CHECK(fs::exists(root.at("root/home/work")));
}

TEST_CASE("what is bound or laid over something comes out of the target root, links included, and twice is once", "[root]") {
    const Root root;
    fs::create_directories(root.at("root/persist/low"));
    std::ofstream(root.at("root/persist/id")) << "theirs\n";
    std::ofstream(root.at("root/persist/low/file")) << "lower\n";
    root.link("data", "/../../persist");
    const std::string table =
        "/data/var /var none bind,ro 0 0\n/data/id /etc/machine-id none bind 0 0\n/persist/outside /outside none bind 0 0\n"
        "overlay /over overlay lowerdir=/data/low,upperdir=/data/up,workdir=/data/work 0 0\n";
    CHECK(root.mount(table).empty());
    CHECK(fs::is_directory(root.at("root/persist/var")));
    CHECK(root.mounted("root/var") == "tmpfs");
    CHECK_FALSE(std::ofstream(root.at("root/var/file")).is_open());
    CHECK(root.mounted("root/etc/machine-id") == "tmpfs");
    CHECK(fs::file_size(root.at("root/etc/machine-id")) == 7);
    CHECK(root.mounted("root/over") == "overlay");
    CHECK(fs::exists(root.at("root/over/file")));
    CHECK(root.mount(table).empty());

    fs::create_directories(root.at("root/directory"));
    CHECK(root.mount("/persist/id /directory none bind 0 0\n") ==
          std::format("bind '{}': Is a directory; its source {} is no directory; move one of them away",
                      root.at("root/directory"), root.at("root/persist/id")));
    CHECK(root.mount("overlay /over2 overlay lowerdir=/none,upperdir=/u,workdir=/w 0 0\n") ==
          std::format("resolve '{}': No such file or directory; in the target root", root.at("root/none")));
}

TEST_CASE("a device's name that can never match is not waited for", "[root]") {
    stage1::FoundDevices devices;
    const auto waited = stage1::run_step(mounts::WaitForDevice{"LABLE=nixos", 3600}, devices);
    REQUIRE_FALSE(waited.has_value());
    CHECK(message(waited.error()) ==
          "read device name 'LABLE=nixos': Invalid argument; give a path below /dev, LABEL=, UUID=, PARTLABEL=, PARTUUID= or "
          "serial=");
}
