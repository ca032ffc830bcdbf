#include "hostside/host/run_directory.h"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <format>
#include <fstream>

namespace {

namespace fs = std::filesystem;

struct Runtime {
    std::string folder = fs::temp_directory_path() / "runtime-XXXXXX";
    Runtime() {
        REQUIRE(::mkdtemp(folder.data()) != nullptr);
        ::setenv("XDG_RUNTIME_DIR", folder.c_str(), 1);
    }
    ~Runtime() {
        ::unsetenv("XDG_RUNTIME_DIR");
        fs::remove_all(folder);
    }
    Runtime(const Runtime &) = delete;
    Runtime &operator=(const Runtime &) = delete;
};

}  // namespace

TEST_CASE("a machine that runs is refused again, with its launcher's pid, or gets a name of its own") {
    const Runtime runtime;
    const auto first = hostside::RunFolder::create("web", false);
    REQUIRE(first);
    CHECK(base::message(hostside::RunFolder::create("web", false).error()) ==
          std::format("lock 'machine web': in use by the runvm with pid {}; stop that one, or use another", ::getpid()));
    const auto second = hostside::RunFolder::create("web", true);
    REQUIRE(second);
    CHECK(second->path() == runtime.folder + "/runvm/web-2");
    const auto machines = hostside::running_machines();
    REQUIRE(machines);
    CHECK(machines->size() == 2);
}

TEST_CASE("a run folder is its owner's alone and goes away, and a killed launcher's is swept") {
    const Runtime runtime;
    const std::string abandoned = runtime.folder + "/runvm/old";
    {
        const auto folder = hostside::RunFolder::create("web", false);
        REQUIRE(folder);
        CHECK((fs::status(folder->path()).permissions() & fs::perms::mask) == fs::perms::owner_all);
        fs::create_directories(abandoned + "/xchg");
        fs::create_symlink("/", abandoned + "/xchg/trap\nname");
        REQUIRE(::mkfifo((abandoned + "/xchg/fifo").c_str(), 0600) == 0);
    }
    CHECK_FALSE(fs::exists(runtime.folder + "/runvm/web"));
    REQUIRE(hostside::RunFolder::create("other", false));
    CHECK_FALSE(fs::exists(abandoned));
    CHECK(fs::exists("/usr"));
}

TEST_CASE("an image is held by one, and nothing is left of a lock that was let go or whose holder was killed") {
    const Runtime runtime;
    const std::string image = runtime.folder + "/disk";
    std::ofstream(image) << "x";
    {
        const auto lock = hostside::lock_image(image);
        REQUIRE(lock);
        CHECK(base::message(hostside::lock_image(image).error()) ==
              std::format("lock '{}': in use by the runvm with pid {}; stop that one, or use another", image, ::getpid()));
    }
    CHECK(fs::is_empty(runtime.folder + "/runvm"));
    const pid_t killed = ::fork();
    if (killed == 0) {
        const auto folder = hostside::RunFolder::create("killed", false);
        const auto lock = hostside::lock_image(image);
        (void)::kill(::getpid(), SIGKILL);
    }
    REQUIRE(::waitpid(killed, nullptr, 0) == killed);
    CHECK(hostside::running_machines().value().empty());
    CHECK(std::distance(fs::directory_iterator(runtime.folder + "/runvm"), {}) == 3);
    REQUIRE(hostside::RunFolder::create("next", false));
    CHECK(fs::is_empty(runtime.folder + "/runvm"));
}

TEST_CASE("a name that is no file's name is refused") {
    const Runtime runtime;
    CHECK(base::message(hostside::RunFolder::create("../x", false).error()) ==
          "use name '../x': a machine's name is not empty, has no '/' nor control characters and does not begin with '.'");
    CHECK_FALSE(hostside::RunFolder::create("\x1b[2J", false));
    CHECK_FALSE(hostside::RunFolder::create("two\nlines", false));
}

TEST_CASE("a runtime folder that others may enter is refused") {
    const Runtime runtime;
    fs::create_directory(runtime.folder + "/runvm");
    fs::permissions(runtime.folder + "/runvm", fs::perms::all);
    CHECK(base::message(hostside::RunFolder::create("web", false).error()) ==
          std::format("use '{}/runvm': must be a folder of yours with mode 0700; remove it, or set XDG_RUNTIME_DIR",
                      runtime.folder));
}
