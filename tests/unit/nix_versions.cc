// Queries of several real Nix versions on databases that we made.
#include <unistd.h>

#include <algorithm>
#include <catch_amalgamated.hpp>
#include <filesystem>
#include <random>
#include <set>

#include "hostside/nix/closure.h"
#include "mounts/base/at.h"
#include "mounts/base/process.h"
#include "mounts/nix/nar.h"
#include "tests/support/nix_root.h"

namespace {

namespace fs = std::filesystem;
using nix_test::lines;
using nix_test::Nix;
using nix_test::Root;

}  // namespace

TEST_CASE("real Nix of several versions finds nothing to complain of, and the host's dump is theirs byte for byte") {
    const std::string suite = GENERATE("bookworm", "trixie", "sid");
    const Nix nix(suite);
    if (::access("/bin/busybox", X_OK) < 0) SKIP("a build needs /bin/busybox");
    const Root root;
    const std::string source = root.path + "/source";
    const std::string target = root.path + "/target";
    fs::create_directories(source);
    fs::copy_file("/bin/busybox", source + "/busybox");
    REQUIRE(base::replace_file(source + "/default.nix", R"(let
  make = name: needs: derivation {
    inherit name; system = builtins.currentSystem; builder = "${./.}/busybox";
    args = [ "sh" "-c" "echo ${name} ${toString needs} $out > $out" ];
  };
in make "top" [ (make "a" [ (make "b" [ ]) ]) (make "c" [ ]) ]
)"));
    const std::string first = root.path + "/first";
    nix("nix-build", first, {source, "--no-out-link"});
    const std::string top =
        lines(nix("nix-store", first, {"-q", "--references", lines(nix("nix-build", first, {source, "--no-out-link"})).back()}))
            .back();
    const std::string drv = lines(nix("nix-store", first, {"-q", "--deriver", top})).back();
    auto closure_words = lines(nix("nix-store", first, {"-qR", top, drv}));
    closure_words.insert(closure_words.begin(), "--dump-db");
    const std::string dump = nix("nix-store", first, closure_words);

    std::string ours;
    const auto infos = hostside::nixdb::closure(first + "/nix/var/nix/db/db.sqlite", {top, drv});
    REQUIRE(infos);
    for (const auto &info : *infos) print(ours, info, mounts::RegistrationFormat::dump_db);
    CHECK(ours == dump);

    for (const auto format : {mounts::RegistrationFormat::dump_db, mounts::RegistrationFormat::registration}) {
        fs::remove_all(target);
        fs::create_directories(target + "/nix");
        fs::copy(first + "/nix/store", target + "/nix/store", fs::copy_options::recursive | fs::copy_options::copy_symlinks);
        std::string text;
        for (const auto &info : *infos) print(text, info, format);
        REQUIRE(base::replace_file(target + "/reg", text));
        const auto report = stage1::nixdb::register_closure({.target_root = target, .reginfo = "/reg"});
        REQUIRE(report);
        CHECK(nix("nix-store", target, {"--verify", "--check-contents"}).find("error") == std::string::npos);
        CHECK(nix("nix-store", target, {"-q", "--referrers", top}) == nix("nix-store", first, {"-q", "--referrers", top}));
        if (format == mounts::RegistrationFormat::dump_db) CHECK(nix("nix-store", target, closure_words) == dump);
        CHECK_NOTHROW(nix("nix-store", target, {"--gc", "--print-roots"}));
        CHECK_NOTHROW(nix("nix-build", target, {source, "--no-out-link", "--check"}));
    }
}

namespace {

using mounts::PathInfo;
using mounts::RegistrationFormat;

// A store of random paths with files, and its registration. The last path refers to all others, directly or indirectly.
struct RandomStore {
    RandomStore(const std::string &root, size_t count, bool with_files) {
        std::mt19937 choose(static_cast<unsigned>(count));
        fs::create_directories(root + "/nix/store");
        for (size_t n = 0; n < count; ++n) {
            PathInfo info;
            info.path = "/nix/store/";
            for (int i = 0; i < 32; ++i) info.path += mounts::nix32_digits[choose() % 32];
            info.path += "-package-" + std::to_string(n);
            if (choose() % 3 == 0) info.deriver = info.path + ".drv";
            std::set<std::string> references;
            if (n != 0) references.insert(infos[n - 1].path);
            for (size_t i = choose() % 12; i-- > 0 && n != 0;) references.insert(infos[choose() % n].path);
            if (choose() % 2 == 0) references.insert(info.path);
            info.references.assign(references.begin(), references.end());
            info.nar_size = choose();
            for (auto &byte : info.hash) byte = static_cast<unsigned char>(choose());
            if (with_files) {
                fs::create_directories(root + info.path + "/bin");
                REQUIRE(base::replace_file(root + info.path + "/bin/program", std::string(choose() % 5000, 'x'), 0555));
                const auto nar = mounts::hash_nar(root + info.path);
                REQUIRE(nar);
                info.hash = nar->hash;
                info.nar_size = nar->size_bytes;
            }
            infos.push_back(std::move(info));
        }
    }

    std::string text(RegistrationFormat format) const {
        std::string all;
        for (const auto &info : infos) print(all, info, format);
        return all;
    }
    std::string printed_in_2013() const {
        std::string all;
        for (PathInfo info : infos) {
            info.hash = {};
            info.nar_size = 0;
            info.deriver.clear();
            mounts::print(all, info, RegistrationFormat::dump_db);
        }
        return all;
    }
    std::string graph() const {
        std::string all;
        for (const auto &info : infos) {
            all += info.path + "\n\n" + std::to_string(info.references.size()) + "\n";
            for (const auto &reference : info.references) all += reference + "\n";
        }
        return all;
    }
    // The complete output of --dump-db, ordered by path.
    std::string dump(bool with_derivers) const {
        std::vector<PathInfo> sorted = infos;
        std::ranges::sort(sorted, {}, &PathInfo::path);
        std::string all;
        for (PathInfo &info : sorted) {
            if (!with_derivers) info.deriver.clear();
            mounts::print(all, info, RegistrationFormat::dump_db);
        }
        return all;
    }
    std::vector<std::string> referrers(const std::string &path) const {
        std::vector<std::string> all;
        for (const auto &info : infos)
            if (std::ranges::contains(info.references, path)) all.push_back(info.path);
        std::ranges::sort(all);
        return all;
    }

    std::vector<PathInfo> infos;
};

std::vector<std::string> sorted_lines(const std::string &text) {
    auto all = lines(text);
    std::ranges::sort(all);
    return all;
}

// Checks one Nix's view of `store`, which was registered in `root`.
void check_with(const Nix &nix, const RandomStore &store, const std::string &root, bool with_derivers) {
    const std::string top = store.infos.back().path;
    const std::string bottom = store.infos.front().path;
    std::vector<std::string> all;
    for (const auto &info : store.infos) all.push_back(info.path);
    std::ranges::sort(all);
    CHECK(sorted_lines(nix("nix-store", root, {"-q", "--requisites", top})) == all);
    CHECK(sorted_lines(nix("nix-store", root, {"-q", "--referrers", bottom})) == store.referrers(bottom));
    const std::vector<std::string> command{"--extra-experimental-features", "nix-command", "path-info"};
    auto words = command;
    words.insert(words.end(), {"--recursive", top});
    CHECK(sorted_lines(nix("nix", root, words)) == all);
    CHECK_NOTHROW(nix("nix-store", root, {"--gc", "--print-roots"}));
    CHECK(nix("nix-store", root, {"--dump-db"}) == store.dump(with_derivers));
}

void forget_database(const std::string &root) { fs::remove_all(root + "/nix/var"); }

}  // namespace

TEST_CASE("the registrations of all four producers, of 10 and of 1,000 paths, satisfy each Nix, contents checked") {
    const std::string suite = GENERATE("bookworm", "trixie", "sid");
    const size_t count = GENERATE(size_t{10}, size_t{1000});
    const Nix nix(suite);
    const Root root;
    const RandomStore store(root.path, count, true);
    REQUIRE(base::replace_file(root.path + ".graph", store.graph()));
    const auto hashed = base::run({.argv = {(fs::read_symlink("/proc/self/exe").parent_path().parent_path() / "runvm").string(),
                                            "reginfo", "--graph", root.path + ".graph", "--hash", "--root", root.path},
                                   .capture_output = true,
                                   .output_limit_bytes = size_t{64} << 20});
    fs::remove(root.path + ".graph");
    REQUIRE(hashed);
    const std::pair<std::string, std::string> producers[] = {{"dump-db", store.text(RegistrationFormat::dump_db)},
                                                             {"closureInfo", store.text(RegistrationFormat::registration)},
                                                             {"2013's printRegistration", store.printed_in_2013()},
                                                             {"exportReferencesGraph", hashed->output}};
    for (const auto &[producer, text] : producers) {
        INFO(suite << ", " << count << " paths, " << producer);
        forget_database(root.path);
        const auto report = root.load(text);
        REQUIRE(report);
        REQUIRE(report->added == count);
        // This fills in a hash that was unknown, and then the dump contains it.
        const std::string verified = nix("nix-store", root.path, {"--verify", "--check-contents"});
        CHECK(verified.find("error") == std::string::npos);
        CHECK(verified.find("modified") == std::string::npos);
        check_with(nix, store, root.path, producer == "dump-db");
    }
}

TEST_CASE("30,000 paths are to each Nix what its own --load-db makes of them", "[.large]") {
    const std::string suite = GENERATE("bookworm", "trixie", "sid");
    const Nix nix(suite);
    const Root root;
    const RandomStore store(root.path, 30'000, false);
    const std::string text = store.text(RegistrationFormat::dump_db);
    REQUIRE(nix.status("nix-store", root.path, {"--load-db"}, text) == 0);
    CHECK(nix("nix-store", root.path, {"--dump-db"}) == store.dump(true));
    forget_database(root.path);
    REQUIRE(root.load(text));
    check_with(nix, store, root.path, true);
    CHECK(root.query("pragma integrity_check") == "ok");
}
