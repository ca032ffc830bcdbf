#include "hostside/run/console_log.h"

#include <catch_amalgamated.hpp>
#include <filesystem>

#include "mounts/base/at.h"

namespace {

namespace fs = std::filesystem;
using hostside::ConsoleLog;

struct Console {
    std::string directory = fs::temp_directory_path() / "console-XXXXXX";
    Console() { REQUIRE(::mkdtemp(directory.data()) != nullptr); }
    ~Console() { fs::remove_all(directory); }
    Console(const Console &) = delete;
    Console &operator=(const Console &) = delete;

    ConsoleLog log() const {
        auto log = ConsoleLog::create(directory);
        REQUIRE(log);
        return std::move(*log);
    }
    std::string file(std::string_view name) const {
        return base::read_file(directory + "/" + std::string(name)).value_or("none");
    }
};

void says(ConsoleLog &log, std::string_view text) {
    for (; !text.empty(); text.remove_prefix(std::min<size_t>(text.size(), 4096))) {
        REQUIRE(base::write_all(log.writer(), text.substr(0, 4096), "console"));
        log.take();
    }
}

}  // namespace

TEST_CASE("a console is kept as it is") {
    const Console console;
    auto log = console.log();
    says(log, "one\n");
    says(log, "two\x1b[2J\n");
    CHECK(console.file(hostside::console_log) == "one\ntwo\x1b[2J\n");
    CHECK(console.file(hostside::console_log_before) == "none");
}

TEST_CASE("a console that never ends fills two files, and the newest is there") {
    const Console console;
    auto log = console.log();
    const std::string line = std::string(4095, 'x') + "\n";
    for (size_t i = 0; i < 3 * hostside::console_log_limit_bytes / line.size() + 5; ++i) says(log, line);
    says(log, "last\n");
    CHECK(console.file(hostside::console_log_before).size() == hostside::console_log_limit_bytes);
    CHECK(console.file(hostside::console_log).size() < hostside::console_log_limit_bytes);
    CHECK(console.file(hostside::console_log).ends_with("\nlast\n"));
    CHECK(std::distance(fs::directory_iterator(console.directory), {}) == 2);
}

TEST_CASE("a panic is seen across reads, and not one that was printed long before the end") {
    const Console console;
    auto log = console.log();
    says(log, "[   1.0] Kernel panic - not ");
    CHECK_FALSE(log.ends_in_panic());
    says(log, "syncing: no init\n");
    CHECK(log.ends_in_panic());
    says(log, std::string(60000, 't'));
    CHECK(log.ends_in_panic());
    says(log, std::string(10000, 't'));
    CHECK_FALSE(log.ends_in_panic());
    says(log, "Kernel panic - not syncing");
    CHECK(log.ends_in_panic());
}

TEST_CASE("the log ends when QEMU has closed it, and is no symlink's target") {
    const Console console;
    fs::create_symlink("elsewhere", console.directory + "/" + std::string(hostside::console_log));
    auto log = console.log();
    says(log, "x");
    CHECK_FALSE(fs::exists(console.directory + "/elsewhere"));
    log.close_writer();
    log.take();
    CHECK(log.fd() == -1);
}
