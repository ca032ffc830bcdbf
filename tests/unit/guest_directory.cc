// What a hostile guest may leave in xchg, and how the host handles it.
#include "hostside/host/guest_files.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>
#include <fstream>

#include "mounts/base/fd.h"

namespace {

namespace fs = std::filesystem;
using hostside::read_from_guest;
using hostside::remove_guest_directory;

struct Directory {
    std::string path = fs::temp_directory_path() / "guest-XXXXXX";
    Directory() { REQUIRE(::mkdtemp(path.data()) != nullptr); }
    ~Directory() { (void)remove_guest_directory(path); }
    Directory(const Directory &) = delete;
    Directory &operator=(const Directory &) = delete;
    [[nodiscard]] std::string in(const std::string &name) const { return path + "/" + name; }
    void file(const std::string &name, const std::string &content) const { std::ofstream(in(name)) << content; }
    [[nodiscard]] std::string refusal(const std::string &name) const {
        const auto text = read_from_guest(path, name, 100);
        REQUIRE_FALSE(text);
        return base::message(text.error());
    }
};

}  // namespace

TEST_CASE("a regular file of the guest's is read, whatever its name") {
    const Directory guest;
    guest.file("a\nname", "content");
    CHECK(read_from_guest(guest.path, "a\nname", 7).value_or("") == "content");
    CHECK(read_from_guest(guest.path, "absent", 7).error().code == ENOENT);
}

TEST_CASE("symlinks, FIFOs, hard links, directories and sockets of the guest's are left alone, by name") {
    const Directory guest;
    guest.file("secret", "s");
    fs::create_symlink("/etc/passwd", guest.in("symlink"));
    fs::create_symlink("secret", guest.in("near"));
    fs::create_directory_symlink("/etc", guest.in("etc"));
    fs::create_hard_link(guest.in("secret"), guest.in("hard"));
    fs::create_directory(guest.in("directory"));
    REQUIRE(::mkfifo(guest.in("fifo").c_str(), 0600) == 0);
    CHECK(guest.refusal("symlink") == "read from the guest 'symlink': it is a symlink instead of a file; runvm does not read it");
    CHECK(guest.refusal("near") == "read from the guest 'near': it is a symlink instead of a file; runvm does not read it");
    CHECK(guest.refusal("etc/passwd") == "read from the guest 'etc/passwd': " + base::errno_text(ELOOP));
    CHECK(guest.refusal("../../etc/passwd") == "read from the guest '../../etc/passwd': " + base::errno_text(EXDEV));
    CHECK(guest.refusal("/etc/passwd") == "read from the guest '/etc/passwd': " + base::errno_text(EXDEV));
    CHECK(guest.refusal("hard") ==
          "read from the guest 'hard': it is a hard link, maybe to another user's file; runvm does not read it");
    CHECK(guest.refusal("directory") ==
          "read from the guest 'directory': it is a directory instead of a file; runvm does not read it");
    CHECK(guest.refusal("fifo") == "read from the guest 'fifo': it is a FIFO instead of a file; runvm does not read it");
}

TEST_CASE("a device that the guest made is not opened") {
    if (::geteuid() != 0) SKIP("only root makes devices");
    const Directory guest;
    REQUIRE(::mknod(guest.in("zero").c_str(), S_IFCHR | 0600, makedev(1, 5)) == 0);
    CHECK(guest.refusal("zero") == "read from the guest 'zero': it is a device instead of a file; runvm does not read it");
}

TEST_CASE("a file larger than the limit is not read, and costs nothing") {
    const Directory guest;
    guest.file("huge", "x");
    REQUIRE(::truncate(guest.in("huge").c_str(), off_t{1} << 40) == 0);
    CHECK(guest.refusal("huge") ==
          "read from the guest 'huge': it has 1099511627776 bytes, and the limit is 100; runvm does not read it");
}

TEST_CASE("a directory that is a symlink itself is not entered") {
    const Directory guest;
    fs::create_directory_symlink("/etc", guest.in("xchg"));
    CHECK(read_from_guest(guest.in("xchg"), "passwd", 100).error().code == ENOTDIR);
    REQUIRE(remove_guest_directory(guest.in("xchg")));
    CHECK_FALSE(fs::is_symlink(guest.in("xchg")));
    CHECK(fs::exists("/etc/passwd"));
}

TEST_CASE("a guest's tree goes away, deeper than paths and descriptors go, with modes that forbid it") {
    const Directory guest;
    const std::string top = guest.in("xchg");
    fs::create_directory(top);
    fs::create_symlink("/", top + "/out\nside");
    REQUIRE(::mkfifo((top + "/fifo").c_str(), 0) == 0);
    fs::create_directory(top + "/.swept-0");  // a name that the removal uses
    guest.file("xchg/.swept-0/file", "");
    base::Fd at(::open(top.c_str(), O_RDONLY | O_DIRECTORY));
    constexpr int depth = 3000;
    for (int i = 0; i < depth; ++i) {
        REQUIRE(::mkdirat(at.get(), "d", 0700) == 0);
        const base::Fd next(::openat(at.get(), "d", O_RDONLY | O_DIRECTORY));
        REQUIRE(::symlinkat("/etc", next.get(), "link") == 0);
        REQUIRE(::fchmod(at.get(), i % 7 == 0 ? 0 : 0500) == 0);
        at.reset(::dup(next.get()));
    }
    rlimit old{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &old) == 0);
    const rlimit few{64, old.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &few) == 0);
    const auto removed = remove_guest_directory(top);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &old) == 0);
    if (!removed) FAIL(base::message(removed.error()));
    CHECK_FALSE(fs::exists(top));
    CHECK(fs::exists("/etc/passwd"));
}

TEST_CASE("a guest's tree goes away although it has, at every level, the names that the removal would use") {
    const Directory guest;
    const std::string top = guest.in("tree");
    for (const char *first : {".swept-0", ".swept-1"})
        for (const char *second : {".swept-0", "d"})
            fs::create_directories(std::format("{}/{}/{}/.swept-1/d", top, first, second));
    guest.file("tree/.swept-2", "");
    const auto removed = remove_guest_directory(top);
    if (!removed) FAIL(base::message(removed.error()));
    CHECK_FALSE(fs::exists(top));
    // A lone one, with what it would replace beneath it.
    fs::create_directories(top + "/.swept-0/d");
    guest.file("tree/.swept-0/d/file", "");
    CHECK(remove_guest_directory(top));
}

TEST_CASE("what is mounted in a guest's directory is neither entered nor emptied") {
    const Directory guest;
    const Directory precious;
    precious.file("file", "kept");
    fs::create_directories(guest.in("xchg/deep/mounted"));
    if (::mount(precious.path.c_str(), guest.in("xchg/deep/mounted").c_str(), nullptr, MS_BIND, nullptr) < 0)
        SKIP("mounts need root");
    const auto removed = remove_guest_directory(guest.in("xchg"));
    CHECK(fs::exists(precious.in("file")));
    REQUIRE_FALSE(removed);
    CHECK(removed.error().step == "remove");
    for (const auto &entry : fs::recursive_directory_iterator(guest.in("xchg")))
        if (entry.path().filename() == "mounted" || entry.path().filename().string().starts_with(".swept"))
            (void)::umount2(entry.path().c_str(), MNT_DETACH);
    CHECK(remove_guest_directory(guest.in("xchg")));
}
