// What protects a machine's store from the host's garbage collector, a real Nix's.

#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "hostside/base/cache.h"
#include "hostside/store/image.h"
#include "hostside/store/store.h"
#include "mounts/base/process.h"
#include "tests/support/disk.h"
#include "tests/support/nix_root.h"

namespace {

namespace fs = std::filesystem;

// A host with its own Nix store and a cache.
class Host {
  public:
    Host() {
        const auto found = base::run({.argv = {"tests/support/nix-versions", "bookworm"}, .capture_output = true});
        REQUIRE(found);
        const std::string bin = fs::path(nix_test::lines(found->output).at(0)).parent_path();
        path_before_ = std::getenv("PATH");
        ::setenv("PATH", (bin + ":/usr/bin:/usr/sbin:/bin").c_str(), 1);
        ::setenv("XDG_CACHE_HOME", directory_.path("cache").c_str(), 1);
        for (const char *name : {"run", "cache"}) fs::create_directory(directory_.path(name));
    }
    Host(const Host &) = delete;
    Host &operator=(const Host &) = delete;
    ~Host() {
        ::setenv("PATH", path_before_.c_str(), 1);
        ::unsetenv("XDG_CACHE_HOME");
        (void)base::run({.argv = {"chmod", "-R", "u+w", directory_.path()}});
    }

    [[nodiscard]] std::string root() const { return directory_.path("root"); }
    [[nodiscard]] std::string run_directory() const { return directory_.path("run"); }
    [[nodiscard]] std::string add(const std::string &name, const std::string &content) const {
        std::ofstream(directory_.path(name)) << content;
        std::string path = nix_("nix-store", root(), {"--add", directory_.path(name)});
        while (path.ends_with('\n')) path.pop_back();
        return path;
    }
    void collect() const { (void)nix_("nix-store", root(), {"--gc"}); }
    [[nodiscard]] bool has(const std::string &path) const { return fs::exists(root() + path); }
    [[nodiscard]] hostside::Machine machine(const std::string &toplevel, const std::string &kind = "9p") const {
        hostside::Machine m;
        m.store = root() + "/nix/store";
        m.toplevel = toplevel;
        m.store_kind = kind;
        m.store_compression = "none";
        return m;
    }
    [[nodiscard]] base::Result<hostside::ProvidedStore> provide(const hostside::Machine &m) const {
        return hostside::plan_store(m, run_directory()).and_then([&](const hostside::StorePlan &plan) {
            return hostside::provide_store(plan, m, run_directory(), [](const std::string &) {});
        });
    }

  private:
    nix_test::Nix nix_{"bookworm"};
    support::ScratchDirectory directory_;
    std::string path_before_;
};

}  // namespace

TEST_CASE("a closure that the collector takes after it was read, and before a root held it, is told", "[root]") {
    const Host host;
    const std::string system = host.add("system", "a system");
    const auto m = host.machine(system);
    const auto plan = hostside::plan_store(m, host.run_directory());
    REQUIRE(plan);
    REQUIRE(plan->contents);
    host.collect();
    REQUIRE_FALSE(host.has(system));
    const auto provided = hostside::provide_store(*plan, m, host.run_directory(), [](const std::string &) {});
    REQUIRE_FALSE(provided);
    CHECK(message(provided.error()).contains("garbage collector deleted it while the machine was starting"));
}

TEST_CASE("while a machine runs the collector leaves its closure and the images that lie in the store", "[root]") {
    const Host host;
    const std::string system = host.add("system", "a system"), base_image = host.add("base.qcow2", "an image");
    auto m = host.machine(system);
    // Through a link, like Nix's ./result.
    fs::create_symlink(host.root() + base_image, host.run_directory() + "/result");
    m.backing_files = {host.run_directory() + "/result"};
    {
        const auto provided = host.provide(m);
        INFO((provided ? "" : message(provided.error())));
        REQUIRE(provided);
        CHECK(provided->notes.empty());
        host.collect();
        CHECK(host.has(system));
        CHECK(host.has(base_image));
    }
    host.collect();
    CHECK_FALSE(host.has(system));
    CHECK_FALSE(host.has(base_image));
}

TEST_CASE("what a cached image was made of stays in the store for as long as the image is cached", "[root]") {
    if (!hostside::find_mkfs()) SKIP("no mkfs.erofs here; `make test-unit` installs it");
    const Host host;
    const std::string system = host.add("system", "a system");
    std::string image;
    {
        const auto provided = host.provide(host.machine(system, "erofs"));
        INFO((provided ? "" : message(provided.error())));
        REQUIRE(provided);
        CHECK(provided->notes.empty());
        image = provided->image;
    }
    host.collect();
    REQUIRE(host.has(system));
    SECTION("it goes for want of room") {
        fs::last_write_time(image, fs::file_time_type::clock::now() - std::chrono::hours(1));
        const std::string large = fs::path(image).parent_path() / "large";
        std::ofstream(large).flush();
        fs::resize_file(large, uint64_t{17} << 30);
        REQUIRE(hostside::use_entry(large, hostside::store_images));
        CHECK_FALSE(fs::exists(image));
    }
    SECTION("somebody removes it") {
        fs::remove(image);
        const std::string other = fs::path(image).parent_path() / "other";
        std::ofstream(other).flush();
        REQUIRE(hostside::use_entry(other, hostside::store_images));
    }
    for (const auto &entry : fs::directory_iterator(fs::path(image).parent_path())) CHECK_FALSE(entry.is_symlink());
    host.collect();
    CHECK_FALSE(host.has(system));
}
