// An attacker replaces a layer's known file with another object, in a directory that everybody may write to. The union opens by
// name, as root: it must not show or change the object that now has the name.
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <catch_amalgamated.hpp>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <format>
#include <fstream>
#include <string>

#include "mounts/base/fd.h"
#include "tests/parity/mounted.h"
#include "tests/parity/place.h"

namespace fs = std::filesystem;

namespace {

void write_text(const fs::path &path, std::string_view text, mode_t mode) {
    std::ofstream(path) << text;
    ::chmod(path.c_str(), mode);
}

// What was read, or "-errno" if it failed.
std::string content(const fs::path &path) {
    std::array<char, 64> bytes{};
    const base::Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    const ssize_t n = ::read(fd.get(), bytes.data(), bytes.size());
    return n < 0 ? std::format("-{}", errno) : std::string(bytes.data(), static_cast<size_t>(n));
}

bool append(const fs::path &path) {
    const base::Fd fd(::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
    return fd && ::write(fd.get(), "x", 1) == 1;
}

// Ends a process that hangs, after a while.
std::string append_in_child(const fs::path &path) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(20);
        ::_exit(append(path) ? 0 : errno);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? std::to_string(WEXITSTATUS(status)) : "killed";
}

}  // namespace

TEST_CASE("a root-only file moved onto a known name of a layer is neither shown nor written nor given away") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const std::string mode = GENERATE("store", "throughput");
    const bool in_upper = GENERATE(false, true);
    CAPTURE(mode, in_upper);
    parity::Mounted m(mode);
    const fs::path layer = in_upper ? m.upper() : m.lower();
    fs::create_directory(layer / "open");
    ::chmod((layer / "open").c_str(), 0777);
    for (const char *name : {"read", "append", "chmod"}) {
        write_text(layer / "open" / name, "harmless", 0666);
        ::chown((layer / "open" / name).c_str(), 1000, 1000);
        write_text(layer / "open" / (std::string("secret-") + name), "secret", 0600);
    }
    m.mount();
    for (const char *name : {"read", "append", "chmod"}) {
        REQUIRE(fs::file_size(m.root() / "open" / name) == 8);
        fs::rename(layer / "open" / (std::string("secret-") + name), layer / "open" / name);
    }
    // Done by the owner of the old file: root might open the new file after the kernel has looked it up again.
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(20);
        if (::setgid(1000) != 0 || ::setuid(1000) != 0) ::_exit(2);
        const bool shown = content(m.root() / "open/read").contains("secre");
        (void)append(m.root() / "open/append");
        (void)::chmod((m.root() / "open/chmod").c_str(), 0777);
        ::_exit(shown ? 1 : 0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(status == 0);
    for (const char *name : {"read", "append", "chmod"}) {
        CAPTURE(name);
        CHECK(content(layer / "open" / name) == "secret");
        CHECK(fs::status(layer / "open" / name).permissions() == fs::perms(0600));
    }
}
TEST_CASE("a root-only directory moved onto a known name of a lower shows nothing of what is in it") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    parity::Mounted m("store");
    fs::create_directories(m.lower() / "open/directory");
    fs::create_directories(m.lower() / "open/secret");
    write_text(m.lower() / "open/secret/text", "secret", 0644);
    ::chmod((m.lower() / "open/secret").c_str(), 0700);
    m.mount();
    REQUIRE(fs::is_directory(m.root() / "open/directory"));
    fs::remove(m.lower() / "open/directory");
    fs::rename(m.lower() / "open/secret", m.lower() / "open/directory");
    const pid_t child = ::fork();
    if (child == 0) ::_exit(::setuid(1000) == 0 && content(m.root() / "open/directory/text") == "secret" ? 1 : 0);
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(status == 0);
}
TEST_CASE("a FIFO put on a known name of a lower hangs nobody") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    parity::Mounted m("store");
    for (const char *name : {"read", "append"}) write_text(m.lower() / name, "harmless", 0666);
    m.mount();
    for (const char *name : {"read", "append"}) {
        REQUIRE(fs::file_size(m.root() / name) == 8);
        fs::remove(m.lower() / name);
        REQUIRE(::mkfifo((m.lower() / name).c_str(), 0666) == 0);
    }
    CHECK(append_in_child(m.root() / "append") != "killed");
    CHECK(content(m.root() / "read") != "harmless");
    CHECK(m.unmount() == 0);
}

TEST_CASE("a FIFO put on a known name of the upper is another object, not an error for good") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    parity::Mounted m("store");
    write_text(m.upper() / "file", "file", 0644);
    write_text(m.upper() / "kept", "kept", 0644);
    m.mount();
    const auto type_of = [&](const char *name) {
        struct statx status{};
        if (::statx(AT_FDCWD, (m.root() / name).c_str(), AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &status) < 0) return -errno;
        return static_cast<int>(status.stx_mode & S_IFMT);
    };
    CHECK(type_of("file") == S_IFREG);
    const base::Fd known(::open((m.root() / "file").c_str(), O_PATH | O_CLOEXEC));
    REQUIRE(::rename((m.upper() / "file").c_str(), (m.upper() / "moved").c_str()) == 0);
    REQUIRE(::mkfifo((m.upper() / "file").c_str(), 0600) == 0);
    CHECK(type_of("file") == S_IFIFO);
    struct statx status{};
    CHECK(::statx(known.get(), "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &status) == -1);
    CHECK(errno == ESTALE);
    CHECK(type_of("kept") == S_IFREG);
}

namespace {

// Run by the owner of `mine`: changes it through the union while its name and that of root's file are exchanged beneath. Exits
// with 1 if root's file was changed, 2 if no attempt succeeded.
int change_while_exchanged(const fs::path &layer, const fs::path &seen) {
    ::alarm(60);
    if (::setgid(1000) != 0 || ::setuid(1000) != 0) return 2;
    const std::string mine = layer / "mine", secret = layer / "secret", through = seen / "mine";
    const pid_t exchanging = ::fork();
    if (exchanging == 0)
        for (;;)
            if (::getppid() == 1 ||
                ::syscall(SYS_renameat2, AT_FDCWD, mine.c_str(), AT_FDCWD, secret.c_str(), RENAME_EXCHANGE) < 0)
                ::_exit(0);
    int done = 0;
    for (int i = 0; i < 3000; ++i) {
        const timespec times[2] = {{5, 0}, {5, 0}};
        done += ::chmod(through.c_str(), 0666) == 0 ? 1 : 0;
        done += ::setxattr(through.c_str(), "user.x", "y", 1, 0) == 0 ? 1 : 0;
        (void)::utimensat(AT_FDCWD, through.c_str(), times, 0);
    }
    ::kill(exchanging, SIGKILL);
    ::waitpid(exchanging, nullptr, 0);
    for (const std::string &path : {mine, secret}) {
        struct stat status{};
        if (::stat(path.c_str(), &status) < 0) return 2;
        if (status.st_uid == 0 && ((status.st_mode & 0777) != 0600 || status.st_mtime == 5)) return 1;
    }
    return done > 0 ? 0 : 2;
}

}  // namespace

TEST_CASE("what its owner changes is never another's, though both names are exchanged in the upper all the time") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const std::string mode = GENERATE("store", "throughput");
    CAPTURE(mode);
    parity::Mounted m(mode);
    const fs::path open = m.upper() / "open";
    fs::create_directory(open);
    ::chmod(open.c_str(), 0777);
    write_text(open / "mine", "mine", 0644);
    ::chown((open / "mine").c_str(), 1000, 1000);
    write_text(open / "secret", "secret", 0600);
    m.mount();
    const pid_t child = ::fork();
    if (child == 0) ::_exit(change_while_exchanged(open, m.root() / "open"));
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(status == 0);
    struct stat secret{};
    for (const char *name : {"mine", "secret"})
        if (::stat((open / name).c_str(), &secret) == 0 && secret.st_uid == 0)
            CHECK(::getxattr((open / name).c_str(), "user.x", nullptr, 0) < 0);
    CHECK(m.unmount() == 0);
}
