#include "tests/parity/place.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <catch_amalgamated.hpp>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <format>
#include <fstream>
#include <optional>
#include <vector>

#include "mounts/base/process.h"
#include "tests/support/backing.h"
#include "tests/support/disk.h"
#include "tests/support/rings.h"

namespace parity {

namespace {

namespace fs = std::filesystem;

struct Places {
    fs::path base;
    std::optional<support::Backing> disk{};
    std::vector<fs::path> mounted{};

    Places() {
        char name[] = "/tmp/parity-XXXXXX";
        REQUIRE(::mkdtemp(name) != nullptr);
        base = name;
        disk.emplace(base, backing());
        for (const char *directory :
             {"ours", "kernel", "plain", "lower", "ours-upper", "ours-work", "kernel-upper", "kernel-work"})
            fs::create_directory(base / directory);
        populate(base / "lower");
        populate(base / "plain");
    }
    Places(const Places &) = delete;
    Places &operator=(const Places &) = delete;
    ~Places() {
        for (const fs::path &path : mounted) ::umount2(path.c_str(), MNT_DETACH);
        disk.reset();
        ::rmdir(base.c_str());
    }

    std::string layers(const char *who) const {
        return std::format("lowerdir={0}/lower,upperdir={0}/{1}-upper,workdir={0}/{1}-work", base.string(), who);
    }
    void mount_ours(const std::string &mode) {
        std::optional<support::Rings> rings;
        if (mode.contains("io_uring=on")) rings.emplace(true);
        const auto exit = base::run({.argv = {program(), "-o", "allow_other,mode=" + mode + "," + layers("ours"), base / "ours"},
                                     .capture_output = true});
        REQUIRE(exit);
        INFO(exit->output);
        REQUIRE(exit->status == 0);
        mounted.push_back(base / "ours");
    }
    void mount_kernel() {
        REQUIRE(::mount("overlay", (base / "kernel").c_str(), "overlay", 0,
                        (layers("kernel") + ",index=off,redirect_dir=on").c_str()) == 0);
        mounted.push_back(base / "kernel");
    }
};

Outcome at(const fs::path &place, const std::function<Outcome()> &operation) {
    const WorkingDirectory here(place);
    return operation();
}

}  // namespace

std::string program() {
    const char *given = std::getenv("UNIONFS");
    return fs::absolute(given != nullptr ? given : "build/unionfs");
}

std::string backing() {
    const char *word = std::getenv("PARITY_BACKING");
    return word == nullptr ? "tmpfs" : word;
}

std::string missing() {
    if (::geteuid() != 0) return "needs root: mounts in a private mount namespace";
    static const bool apart = ::unshare(CLONE_NEWNS) == 0 && ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
    if (!apart) return "no private mount namespace is allowed here";
    if (::access("/dev/fuse", R_OK | W_OK) != 0) return "no /dev/fuse";
    if (backing() != "tmpfs") return support::loop_devices_missing();
    return {};
}

std::vector<std::string> modes() {
    if (!support::missing_io_uring().empty()) return {"store", "throughput"};
    return {"store", "throughput", "store,io_uring=on"};
}

Outcome result(long value) { return std::to_string(value < 0 ? -errno : value); }

void same(const std::function<Outcome()> &operation, bool kernel) {
    if (const std::string reason = missing(); !reason.empty()) SKIP(reason);
    for (const std::string &mode : modes()) {
        Places places;
        places.mount_ours(mode);
        places.mount_kernel();
        const Outcome ours = at(places.base / "ours", operation);
        const Outcome plain = at(places.base / "plain", operation);
        INFO("mode=" << mode);
        CHECK(ours == plain);
        CHECK(tree(places.base / "ours") == tree(places.base / "plain"));
        if (kernel) CHECK(at(places.base / "kernel", operation) == ours);
        // What we left on disk must also be a valid upper for overlayfs.
        const std::string seen = tree(places.base / "ours");
        ::umount2((places.base / "ours").c_str(), 0);
        ::umount2((places.base / "kernel").c_str(), MNT_DETACH);
        REQUIRE(::mount("overlay", (places.base / "kernel").c_str(), "overlay", 0,
                        (places.layers("ours") + ",index=off,redirect_dir=on").c_str()) == 0);
        if (kernel) CHECK(tree(places.base / "kernel") == seen);
    }
}

}  // namespace parity
