// Layers that another union wrote: whiteouts, opaque marks and redirects of a lower work as in overlayfs.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>
#include <fstream>

#include "mounts/base/process.h"
#include "tests/parity/mounted.h"
#include "tests/parity/place.h"

using parity::Mounted;

namespace {

namespace fs = std::filesystem;

void write_file(const fs::path &path, std::string_view text) { std::ofstream(path) << text; }

void mark(const fs::path &path, const char *name, std::string_view value) {
    REQUIRE(::setxattr(path.c_str(), (std::string("trusted.overlay.") + name).c_str(), value.data(), value.size(), 0) == 0);
}

// A union of ours, mounted for this object's lifetime.
struct Ours {
    fs::path at;
    Ours(fs::path place, const std::string &options) : at(std::move(place)) {
        fs::create_directories(at);
        const auto exit = base::run({.argv = {parity::program(), "-o", "mode=store," + options, at}, .capture_output = true});
        REQUIRE(exit);
        INFO(exit->output);
        REQUIRE(exit->status == 0);
    }
    Ours(const Ours &) = delete;
    Ours &operator=(const Ours &) = delete;
    ~Ours() { ::umount2(at.c_str(), MNT_DETACH); }
};

}  // namespace

TEST_CASE("on an upper that takes no device 0:0 what is removed and moved stays away, in a later mount too") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    Mounted stack("store");
    const fs::path disk = stack.base() / "disk", nested = stack.base() / "kernel";
    for (const char *name : {"below", "a", "w"}) fs::create_directory(disk / name);
    const std::string overlay = std::format("lowerdir={0}/below,upperdir={0}/a,workdir={0}/w", disk.string());
    REQUIRE(::mount("overlay", nested.c_str(), "overlay", 0, overlay.c_str()) == 0);
    for (const char *name : {"u", "uw"}) fs::create_directory(nested / name);
    for (const char *name : {"removed", "moved", "d/removed", "d/kept", "e/inside"}) {
        fs::create_directories((stack.lower() / name).parent_path());
        write_file(stack.lower() / name, name);
    }
    const std::string options =
        std::format("lowerdir={},upperdir={}/u,workdir={}/uw", stack.lower().string(), nested.string(), nested.string());
    const auto check = [&] {
        CHECK(!fs::exists(stack.root() / "removed"));
        CHECK(!fs::exists(stack.root() / "moved"));
        CHECK(!fs::exists(stack.root() / "d/removed"));
        CHECK(!fs::exists(stack.root() / "e"));
        CHECK(fs::exists(stack.root() / "there"));
        CHECK(fs::exists(stack.root() / "f/inside"));
        std::string names;
        for (const auto &entry : fs::directory_iterator(stack.root() / "d")) names += entry.path().filename().string();
        CHECK(names == "kept");
    };
    {
        const Ours ours(stack.root(), options);
        fs::remove(stack.root() / "removed");
        fs::remove(stack.root() / "d/removed");
        fs::rename(stack.root() / "moved", stack.root() / "there");
        fs::rename(stack.root() / "e", stack.root() / "f");
        check();
    }
    {
        const Ours ours(stack.root(), options);
        check();
    }
    ::umount2(nested.c_str(), MNT_DETACH);
}

TEST_CASE("a whiteout of a lower that is an attribute hides its name, where its directory says that there are such") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    Mounted stack("store");
    const fs::path top = stack.base() / "top";
    for (const char *directory : {"marked", "plain"}) {
        fs::create_directories(top / directory);
        fs::create_directories(stack.lower() / directory);
        write_file(stack.lower() / directory / "hidden", "lower");
        write_file(top / directory / "hidden", "");
        mark(top / directory / "hidden", "whiteout", "");
    }
    mark(top / "marked", "opaque", "x");
    const std::string layers = std::format("lowerdir={}:{}", top.string(), stack.lower().string());
    REQUIRE(::mount("overlay", (stack.base() / "kernel").c_str(), "overlay", 0, layers.c_str()) == 0);
    const Ours ours(stack.root(), layers);
    CHECK(parity::tree(stack.root() / "marked") == parity::tree(stack.base() / "kernel/marked"));
    CHECK(!fs::exists(stack.root() / "marked/hidden"));
    CHECK(fs::exists(stack.root() / "plain/hidden"));  // overlayfs lists it too, but can't look it up
}

TEST_CASE("what an overlayfs keeps of a mark in an old upper is shown as that mark, and goes to the copy") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const std::string mode = GENERATE("store", "throughput");
    Mounted stack(mode);
    const fs::path kernel = stack.base() / "kernel", old = stack.base() / "old", old_work = stack.base() / "old-work";
    for (const fs::path &path : {kernel, old, old_work}) fs::create_directories(path);
    write_file(stack.lower() / "file", "text");
    const std::string overlay =
        std::format("lowerdir={},upperdir={},workdir={}", stack.lower().string(), old.string(), old_work.string());
    REQUIRE(::mount("overlay", kernel.c_str(), "overlay", 0, overlay.c_str()) == 0);
    mark(kernel / "file", "note", "of an overlayfs above");
    REQUIRE(::umount2(kernel.c_str(), 0) == 0);
    const auto note = [](const fs::path &path, const char *name) {
        std::string value(64, '\0');
        const ssize_t n = ::getxattr(path.c_str(), name, value.data(), value.size());
        return n < 0 ? std::string() : value.substr(0, static_cast<size_t>(n));
    };
    REQUIRE(note(old / "file", "trusted.overlay.overlay.note") == "of an overlayfs above");
    {
        const Ours ours(stack.root(), std::format("lowerdir={}:{},upperdir={},workdir={}", old.string(), stack.lower().string(),
                                                  stack.upper().string(), stack.work().string()));
        CHECK(note(stack.root() / "file", "trusted.overlay.note") == "of an overlayfs above");
        CHECK(::chmod((stack.root() / "file").c_str(), 0600) == 0);
        CHECK(note(stack.root() / "file", "trusted.overlay.note") == "of an overlayfs above");
        CHECK(note(stack.root() / "file", "trusted.overlay.overlay.note").empty());
    }
    CHECK(note(stack.upper() / "file", "trusted.overlay.overlay.note") == "of an overlayfs above");
}

TEST_CASE("an old upper as a lower shows what its union showed: moved, opaque and removed") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    Mounted stack("store");
    const fs::path disk = stack.base() / "disk";
    for (const char *name : {"u2", "w2", "u3", "w3"}) fs::create_directory(disk / name);
    for (const char *name : {"d/a", "d/sub/b", "x/in/c", "gone/e", "over/f"}) {
        fs::create_directories((stack.lower() / name).parent_path());
        write_file(stack.lower() / name, name);
    }
    const std::string base = stack.lower(), first = (disk / "upper").string(), second = (disk / "u2").string();
    std::string seen;
    {
        const Ours ours(stack.root(), stack.layers());
        const fs::path root = ours.at;
        fs::rename(root / "d", root / "e");
        fs::create_directory(root / "y");
        fs::rename(root / "x/in", root / "y/in");
        fs::remove_all(root / "gone");
        fs::remove_all(root / "over");
        fs::create_directory(root / "over");
        write_file(root / "over/new", "new");
        seen = parity::tree(root);
    }
    {
        const Ours ours(stack.root(),
                        std::format("lowerdir={}:{},upperdir={},workdir={}/w2", first, base, second, disk.string()));
        CHECK(parity::tree(ours.at) == seen);
        CHECK(fs::exists(ours.at / "e/sub/b"));
        fs::rename(ours.at / "e/sub", ours.at / "y/sub");  // from a directory that was itself moved
        fs::rename(ours.at / "e", ours.at / "z");
        seen = parity::tree(ours.at);
        CHECK(fs::exists(ours.at / "y/sub/b"));
        CHECK(fs::exists(ours.at / "z/a"));
    }
    const std::string three = std::format("lowerdir={}:{}:{}", second, first, base);
    REQUIRE(::mount("overlay", (stack.base() / "kernel").c_str(), "overlay", 0, (three + ",redirect_dir=follow").c_str()) == 0);
    CHECK(parity::tree(stack.base() / "kernel") == seen);
    const Ours again(stack.root(), three);
    CHECK(parity::tree(again.at) == seen);
}

TEST_CASE("a file whose data overlayfs left in a lower is an error to read and to change, and never zeros") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const std::string mode = GENERATE("store", "throughput");
    CAPTURE(mode);
    Mounted stack(mode);
    for (const fs::path &layer : {stack.upper(), stack.lower()}) {
        const fs::path file = fs::canonical(layer) / ("of-" + layer.filename().string());
        write_file(file, "");
        REQUIRE(::truncate(file.c_str(), 5) == 0);
        mark(file, "metacopy", "");
    }
    stack.mount();
    for (const char *name : {"of-upper", "of-lower"}) {
        CAPTURE(name);
        const fs::path file = stack.root() / name;
        std::string data(5, 'x');
        const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
        CHECK((fd < 0 ? -1 : ::read(fd, data.data(), data.size())) == -1);
        CHECK(errno == EIO);
        ::close(fd);
        CHECK(fs::file_size(file) == 5);
    }
    CHECK(::chmod((stack.root() / "of-lower").c_str(), 0600) == -1);
    CHECK(errno == EIO);
}
