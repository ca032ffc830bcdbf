// A part of a store as a separate directory, and as an image.

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <format>
#include <fstream>
#include <functional>
#include <set>
#include <thread>

#include "hostside/store/image.h"
#include "hostside/store/view.h"
#include "mounts/base/at.h"
#include "mounts/base/process.h"

namespace {

namespace fs = std::filesystem;
using hostside::open_view;
using hostside::StoreContents;

struct Store {
    std::string directory, store, place;
    std::vector<std::string> names{"dir", "file", "link"};

    Store() {
        std::string pattern = (fs::temp_directory_path() / "store-view.XXXXXX").string();
        REQUIRE(::mkdtemp(pattern.data()) != nullptr);
        directory = pattern;
        fs::permissions(directory, fs::perms(0755));
        store = directory + "/store";
        place = directory + "/view";
        fs::create_directories(store + "/dir/deep");
        std::ofstream(store + "/dir/deep/text") << "in the closure\n";
        std::ofstream(store + "/file") << "a file\n";
        fs::create_symlink("dir/deep", store + "/link");
        fs::create_directory(store + "/hidden");
        std::ofstream(store + "/hidden/secret") << "secret\n";
        fs::create_directory(place);
        fs::permissions(place, fs::perms(0777));
    }
    Store(const Store &) = delete;
    Store &operator=(const Store &) = delete;
    ~Store() {
        std::error_code error;
        fs::remove_all(directory, error);
    }
};

// Calls `body` as an ordinary user in a separate process; returns its result, one byte.
int as_no_one(const std::function<int()> &body) {
    const pid_t pid = ::fork();
    if (pid == 0) {
        constexpr uid_t no_one = 12345;
        if (::geteuid() == 0 && (::setgid(no_one) < 0 || ::setuid(no_one) < 0)) ::_exit(99);
        (void)::prctl(PR_SET_DUMPABLE, 1);  // makes /proc/self ours, as after an exec
        ::_exit(body());
    }
    int status = 0;
    (void)::waitpid(pid, &status, 0);
    return base::exit_code(status);
}

bool readable(int directory, const char *name) { return base::open_at(directory, name, O_RDONLY).has_value(); }

// 0 if everything is right; otherwise the number of the failed check.
int check_view(const Store &s) {
    const auto view = open_view({s.store, s.names, s.place});
    if (!view) {
        std::fputs((base::message(view.error()) + "\n").c_str(), stderr);
        return 1;
    }
    const int directory = view->directory.get();
    std::set<std::string> seen;
    for (const auto &entry : fs::directory_iterator(std::format("/proc/self/fd/{}", directory)))
        seen.insert(entry.path().filename());
    if (seen != std::set<std::string>{"dir", "file", "link"}) return 2;
    if (!readable(directory, "dir/deep/text") || !readable(directory, "file") || !readable(directory, "link/text")) return 3;
    for (const char *name : {"hidden", "../hidden", "../store/hidden", "dir/../../store/hidden", "../../tmp", "../etc"})
        if (readable(directory, name)) return 4;
    struct stat up{}, here{}, owner{}, real{};
    if (::fstatat(directory, "..", &up, 0) < 0 || ::fstat(directory, &here) < 0 || up.st_ino != here.st_ino) return 5;
    if (base::open_at(directory, "new", O_WRONLY | O_CREAT, 0600).error_or(base::Error{}).code != EROFS) return 6;
    if (::fstatat(directory, "dir", &owner, 0) < 0 || ::stat((s.store + "/dir").c_str(), &real) < 0 ||
        owner.st_uid != real.st_uid)
        return 7;
    return 0;
}

StoreContents contents_of(const Store &s) {
    return {.roots = {}, .names = s.names, .nar_bytes = 1, .hash = std::string(64, 'a')};
}

std::string content(const std::string &path) { return base::read_file(path).value_or("absent"); }

}  // namespace

TEST_CASE("a view has the named paths of a store, read-only and with their owners, and no way leads out of it") {
    const Store store;
    CHECK(check_view(store) == 0);
    CHECK(as_no_one([&] { return check_view(store); }) == 0);
    // It is not visible to others.
    CHECK(fs::is_empty(store.place));
}

TEST_CASE("a view of a path that is not there, or of more than there may be mounts, is refused in words") {
    Store store;
    store.names.emplace_back("absent");
    CHECK(base::message(open_view({store.store, store.names, store.place}).error()) ==
          std::format(
              "make a view of the store '{}/absent': No such file or directory; the closure names it; is the store complete?",
              store.store));
    store.names.assign(200000, "dir");
    CHECK_THAT(base::message(open_view({store.store, store.names, store.place}).error()),
               Catch::Matchers::ContainsSubstring("200000 paths, but this host allows only ") &&
                   Catch::Matchers::ContainsSubstring(" mounts (fs.mount-max)"));
}

TEST_CASE("a closure is one image, byte for byte, whoever makes it, and has nothing else of the store") {
    if (!hostside::find_mkfs()) SKIP("no mkfs.erofs here; `make test-unit` installs it");
    const Store store;
    ::setenv("XDG_CACHE_HOME", store.directory.c_str(), 1);
    const StoreContents contents = contents_of(store);
    const hostside::ImageSpec spec{store.store, contents, "none", store.directory};
    const std::string path = hostside::image_path(spec);
    CHECK(path.starts_with(store.directory + "/runvm/store-images/"));
    std::string told;
    const auto progress = [&](const std::string &what) { told += what; };
    const auto made = hostside::make_image(spec, progress);
    INFO((made ? "" : base::message(made.error())));
    REQUIRE(made);
    CHECK(told.starts_with("making the store's image of 3 paths, 1 MiB"));
    const std::string first = content(path);
    CHECK(first.contains("in the closure"));
    CHECK_FALSE(first.contains("secret"));
    told.clear();
    REQUIRE(hostside::make_image(spec, progress));
    CHECK(told.empty());
    fs::permissions(store.directory, fs::perms(0777));
    ::unsetenv("XDG_CACHE_HOME");
    fs::remove_all(store.directory + "/runvm");
    // Without a cache it is in the run directory.
    CHECK(as_no_one([&] {
              ::unsetenv("HOME");
              return hostside::make_image(spec, progress) && content(hostside::image_path(spec)) == first ? 0 : 1;
          }) == 0);
}

TEST_CASE("an image that can't be made, or whose maker is killed, leaves nothing in the cache") {
    if (!hostside::find_mkfs()) SKIP("no mkfs.erofs here; `make test-unit` installs it");
    const Store store;
    ::setenv("XDG_CACHE_HOME", store.directory.c_str(), 1);
    StoreContents contents = contents_of(store);
    contents.names.emplace_back("absent");
    const auto nothing = [](const std::string &) {};
    CHECK_FALSE(hostside::make_image({store.store, contents, "none", store.directory}, nothing));
    // 256 MiB, so that there is time to kill it.
    const base::Fd big(::open((store.store + "/file").c_str(), O_WRONLY | O_CLOEXEC));
    for (int i = 0; i < 64; ++i)
        (void)base::write_all(big.get(), std::string(size_t{4} << 20, static_cast<char>('a' + i % 26)), "file");
    const pid_t pid = ::fork();
    if (pid == 0) {
        const StoreContents whole = contents_of(store);
        (void)hostside::make_image({store.store, whole, "none", store.directory}, [](const std::string &) {
            std::thread([] { ::usleep(100'000), ::kill(::getpid(), SIGKILL); }).detach();
        });
        ::_exit(0);
    }
    int status = 0;
    (void)::waitpid(pid, &status, 0);
    REQUIRE(WIFSIGNALED(status));
    CHECK(fs::is_empty(store.directory + "/runvm/store-images"));
    ::unsetenv("XDG_CACHE_HOME");
}
