// When a closure's image is made without being asked for, and the notes in the cache that decide it.

#include <sys/stat.h>

#include <catch_amalgamated.hpp>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <format>
#include <fstream>
#include <iterator>
#include <vector>

#include "hostside/base/cache.h"
#include "hostside/store/image.h"
#include "hostside/store/second_start.h"
#include "hostside/store/store.h"
#include "mounts/base/at.h"
#include "tests/support/disk.h"

namespace {

namespace fs = std::filesystem;
using namespace hostside;

constexpr uint64_t gib = uint64_t{1} << 30;

ImageFacts good() {
    return {.started = Started::before, .size_known = true, .nar_bytes = gib, .free_bytes = 3 * gib, .mkfs = true};
}

bool with(const auto &change) {
    ImageFacts facts = good();
    change(facts);
    return repays_image(facts);
}

constexpr const char *const system_name = "00000000000000000000000000000000-system";
constexpr const char *const info_name = "11111111111111111111111111111111-info";

// A store with one system, registered in a text, and a cache.
class Host {
  public:
    Host() {
        ::setenv("XDG_CACHE_HOME", at("cache").c_str(), 1);
        fs::create_directory(at("cache"));
        fs::create_directory(at("run"));
        for (const char *name : {system_name, info_name}) fs::create_directories(at("store/") + name);
        std::ofstream(at("store/") + system_name + "/init") << "a system";
        write_size(4096);
    }
    Host(const Host &) = delete;
    Host &operator=(const Host &) = delete;
    ~Host() { ::unsetenv("XDG_CACHE_HOME"); }

    void write_size(uint64_t bytes) const {
        std::ofstream(at("store/") + info_name + "/registration")
            << std::format("/nix/store/{}\n{}\n{}\n\n0\n", system_name, std::string(64, '1'), bytes);
    }
    [[nodiscard]] Machine machine() const {
        Machine m;
        m.store = at("store");
        m.toplevel = std::string("/nix/store/") + system_name;
        m.reginfo = std::string("/nix/store/") + info_name + "/registration";
        m.store_kind = "auto";
        m.store_compression = "none";
        return m;
    }
    [[nodiscard]] StorePlan plan(const Machine &m, bool starts = true) const {
        auto plan = plan_store(m, at("run"), starts);
        INFO((plan ? "" : base::message(plan.error())));
        REQUIRE(plan);
        return *plan;
    }
    // What the store is after it was provided, or the error.
    [[nodiscard]] std::string start(const Machine &m) const {
        const StorePlan planned = plan(m);
        const auto provided = provide_store(planned, m, at("run"), [](const std::string &) {});
        return provided ? planned.kind : base::message(provided.error());
    }
    [[nodiscard]] std::string at(const std::string &name) const { return directory_.path(name); }
    [[nodiscard]] std::string note() const { return start_note(*plan(machine()).contents); }

  private:
    support::ScratchDirectory directory_;
};

}  // namespace

TEST_CASE("the second start of a closure repays its image, if mkfs.erofs is there and the image fits") {
    CHECK(repays_image(good()));
    CHECK_FALSE(with([](ImageFacts &f) { f.started = Started::never; }));
    CHECK_FALSE(with([](ImageFacts &f) { f.started = Started::image_failed; }));
    CHECK_FALSE(with([](ImageFacts &f) { f.mkfs = false; }));
    CHECK_FALSE(with([](ImageFacts &f) { f.size_known = false; }));
    CHECK_FALSE(with([](ImageFacts &f) { f.free_bytes = 2 * gib - 1; }));
    CHECK(with([](ImageFacts &f) { f.free_bytes = 2 * gib; }));
    const uint64_t quarter = store_images.limit_bytes / 4;
    CHECK(with([&](ImageFacts &f) { f.nar_bytes = quarter, f.free_bytes = 4 * quarter; }));
    CHECK_FALSE(with([&](ImageFacts &f) { f.nar_bytes = quarter + 1, f.free_bytes = 4 * quarter; }));
}

TEST_CASE("auto makes an image for the second start, and nothing for a view, a kernel or a print that may not have one") {
    if (!find_mkfs()) SKIP("no mkfs.erofs here; `make test-unit` installs it");
    const Host host;
    const Machine m = host.machine();
    REQUIRE(host.start(m) == "9p");
    for (const auto &change : std::vector<void (*)(Machine &)>{
             [](Machine &one) { one.store_kind = "9p"; }, [](Machine &one) { one.store_view = "all"; },
             [](Machine &one) { one.kernel = "/kernel"; }, [](Machine &one) { one.initrd = "/initrd"; },
             [](Machine &one) { one.modules = "/modules"; }, [](Machine &one) { one.use_boot_loader = true; }}) {
        Machine other = m;
        change(other);
        CHECK(host.plan(other).kind == "9p");
        CHECK(host.plan(other).start_note.empty());
    }
    CHECK(host.plan(m, false).kind == "9p");
    CHECK(host.start(m) == "erofs");
    CHECK(is_image(host.plan(m).image));
    CHECK(host.plan(m, false).kind == "erofs");
    CHECK(host.plan(m, false).start_note.empty());
}

TEST_CASE("a closure of unknown size, and one whose image failed, stay with 9p") {
    if (!find_mkfs()) SKIP("no mkfs.erofs here; `make test-unit` installs it");
    const Host host;
    host.write_size(0);
    CHECK(host.start(host.machine()) == "9p");
    CHECK(host.start(host.machine()) == "9p");
    host.write_size(4096);
    CHECK(host.plan(host.machine()).kind == "erofs");
    note_image_failed(host.note());
    CHECK(host.start(host.machine()) == "9p");
    CHECK(host.start(host.machine()) == "9p");
}

TEST_CASE("one launcher makes the image, and another one that starts meanwhile does not wait") {
    if (!find_mkfs()) SKIP("no mkfs.erofs here; `make test-unit` installs it");
    const Host host;
    REQUIRE(host.start(host.machine()) == "9p");
    {
        const base::Fd claim = claim_making(host.note());
        REQUIRE(claim);
        const StorePlan plan = host.plan(host.machine());
        const auto provided = provide_store(plan, host.machine(), host.at("run"), [](const std::string &) {});
        REQUIRE_FALSE(provided);
        CHECK(provided.error().code == EBUSY);
        CHECK(without_image(plan).kind == "9p");
    }
    CHECK(host.start(host.machine()) == "erofs");
}

TEST_CASE("a note that is a FIFO, a link, a directory or that can't be written is no error and makes no image") {
    const Host host;
    const std::string note = host.note();
    const fs::path directory = fs::path(note).parent_path();
    fs::create_directories(directory);
    std::ofstream(host.at("elsewhere")) << "started\n";
    SECTION("a FIFO") { REQUIRE(::mkfifo(note.c_str(), 0600) == 0); }
    SECTION("a link") { fs::create_symlink(host.at("elsewhere"), note); }
    SECTION("a directory") { fs::create_directory(note); }
    SECTION("its directory is a file") {
        fs::remove(directory);
        std::ofstream(directory.string()) << "no directory";
    }
    for (int i = 0; i < 2; ++i) CHECK(host.start(host.machine()) == "9p");
    note_image_failed(note);
    CHECK(base::read_file(host.at("elsewhere")) == "started\n");
}

TEST_CASE("the cache keeps few notes, and without a cache there are none") {
    const Host host;
    const fs::path directory = fs::path(host.note()).parent_path();
    for (int i = 0; i < 1000; ++i) {
        const std::string note = directory / std::to_string(i);
        note_start(note);
        REQUIRE(fs::exists(note));
        fs::last_write_time(note, fs::file_time_type::clock::now() - std::chrono::hours(1));
    }
    CHECK(std::distance(fs::directory_iterator(directory), fs::directory_iterator()) == 512);
    ::setenv("XDG_CACHE_HOME", "/nowhere/user/cache", 1);
    CHECK(host.note().empty());
    for (int i = 0; i < 2; ++i) CHECK(host.start(host.machine()) == "9p");
}
