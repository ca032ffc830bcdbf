#include "hostside/host/run_directory.h"

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

namespace {

namespace fs = std::filesystem;

struct Runtime {
    std::string directory = fs::temp_directory_path() / "runtime-XXXXXX";
    Runtime() {
        REQUIRE(::mkdtemp(directory.data()) != nullptr);
        ::setenv("XDG_RUNTIME_DIR", directory.c_str(), 1);
    }
    ~Runtime() {
        ::unsetenv("XDG_RUNTIME_DIR");
        fs::remove_all(directory);
    }
    Runtime(const Runtime &) = delete;
    Runtime &operator=(const Runtime &) = delete;
};

}  // namespace

TEST_CASE("a machine that runs is refused again, with its launcher's pid, or gets a name of its own") {
    const Runtime runtime;
    const auto first = hostside::RunDirectory::create("web", false);
    REQUIRE(first);
    CHECK(base::message(hostside::RunDirectory::create("web", false).error()) ==
          std::format("lock 'machine web': in use by the runvm with pid {}; stop that one, or use another", ::getpid()));
    const auto second = hostside::RunDirectory::create("web", true);
    REQUIRE(second);
    CHECK(second->path() == runtime.directory + "/runvm/web-2");
    const auto machines = hostside::running_machines();
    REQUIRE(machines);
    CHECK(machines->size() == 2);
}

TEST_CASE("a run directory is its owner's alone and goes away, and a killed launcher's is swept") {
    const Runtime runtime;
    const std::string abandoned = runtime.directory + "/runvm/old";
    {
        const auto directory = hostside::RunDirectory::create("web", false);
        REQUIRE(directory);
        CHECK((fs::status(directory->path()).permissions() & fs::perms::mask) == fs::perms::owner_all);
        fs::create_directories(abandoned + "/xchg");
        fs::create_symlink("/", abandoned + "/xchg/trap\nname");
        REQUIRE(::mkfifo((abandoned + "/xchg/fifo").c_str(), 0600) == 0);
    }
    CHECK_FALSE(fs::exists(runtime.directory + "/runvm/web"));
    REQUIRE(hostside::RunDirectory::create("other", false));
    CHECK_FALSE(fs::exists(abandoned));
    CHECK(fs::exists("/usr"));
}

TEST_CASE("an image is held by one, and nothing is left of a lock that was let go or whose holder was killed") {
    const Runtime runtime;
    const std::string image = runtime.directory + "/disk";
    std::ofstream(image) << "x";
    {
        const auto lock = hostside::lock_image(image);
        REQUIRE(lock);
        CHECK(base::message(hostside::lock_image(image).error()) ==
              std::format("lock '{}': in use by the runvm with pid {}; stop that one, or use another", image, ::getpid()));
    }
    CHECK(fs::is_empty(runtime.directory + "/runvm"));
    const pid_t killed = ::fork();
    if (killed == 0) {
        const auto directory = hostside::RunDirectory::create("killed", false);
        const auto lock = hostside::lock_image(image);
        (void)::kill(::getpid(), SIGKILL);
    }
    REQUIRE(::waitpid(killed, nullptr, 0) == killed);
    CHECK(hostside::running_machines().value().empty());
    CHECK(std::distance(fs::directory_iterator(runtime.directory + "/runvm"), {}) == 3);
    REQUIRE(hostside::RunDirectory::create("next", false));
    CHECK(fs::is_empty(runtime.directory + "/runvm"));
}

TEST_CASE("a name that is no file's name is refused") {
    const Runtime runtime;
    CHECK(base::message(hostside::RunDirectory::create("../x", false).error()) ==
          "use name '../x': a machine's name must not be empty, have '/' or control characters, begin with '.' or '-', or end in "
          "'.lock'");
    CHECK_FALSE(hostside::RunDirectory::create("-x", false));  // commands would take it for a flag
    CHECK_FALSE(hostside::RunDirectory::create("\x1b[2J", false));
    CHECK_FALSE(hostside::RunDirectory::create("two\nlines", false));
    // The directory of that name would be the lock of another machine.
    const auto web = hostside::RunDirectory::create("web", false);
    REQUIRE(web);
    CHECK_FALSE(hostside::RunDirectory::create("web.lock", false));
    CHECK_FALSE(hostside::RunDirectory::create("web", false));
}

TEST_CASE("a lock that can't be made is told with the name that was asked for") {
    const Runtime runtime;
    REQUIRE(hostside::runtime_directory());
    const std::string lock = runtime.directory + "/runvm/web.lock";
    fs::create_symlink("nowhere", lock);
    CHECK(base::message(hostside::RunDirectory::create("web", true).error()) ==
          "open '" + lock + "': " + base::errno_text(ELOOP));
}

TEST_CASE("a runtime directory that others may enter is refused") {
    const Runtime runtime;
    fs::create_directory(runtime.directory + "/runvm");
    fs::permissions(runtime.directory + "/runvm", fs::perms::all);
    CHECK(base::message(hostside::RunDirectory::create("web", false).error()) ==
          std::format("use '{}/runvm': it must be your own directory with mode 0700; remove it, or set XDG_RUNTIME_DIR",
                      runtime.directory));
}
