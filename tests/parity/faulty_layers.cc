// A layer that returns an error must not be treated as a layer without the name: no content may show, hide or get lost.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>

#include "mounts/base/fd.h"
#include "tests/parity/mounted.h"
#include "tests/parity/place.h"
#include "tests/support/caches.h"
#include "tests/support/faulty_directory.h"

using parity::Mounted;
using support::FaultyDirectory;
using Call = support::FaultyDirectory::Call;

namespace {

namespace fs = std::filesystem;

std::string content(const fs::path &path) {
    std::ifstream file(path);
    return {(std::istreambuf_iterator<char>(file)), {}};
}

// The errno of a call that returned -1.
int error_of(int result) { return result < 0 ? errno : 0; }

std::set<std::string> names_in(const fs::path &directory) {
    std::set<std::string> names;
    for (const auto &entry : fs::directory_iterator(directory)) names.insert(entry.path().filename());
    return names;
}

// A union whose top lower returns errors, over a lower that doesn't.
struct Stack {
    Mounted mounted{"store"};
    fs::path faulty = mounted.base() / "faulty", backing = mounted.base() / "backing";
    std::optional<FaultyDirectory> layer{};

    Stack() {
        fs::create_directory(faulty);
        fs::create_directory(backing);
    }
    void mount() {
        layer.emplace(backing, faulty);
        mounted.mount("lowerdir=" + faulty.string() + ":" + mounted.lower().string());
    }
    ~Stack() {
        if (mounted.supervisor() > 0) (void)mounted.unmount();
    }
    Stack(const Stack &) = delete;
    Stack &operator=(const Stack &) = delete;
    [[nodiscard]] std::string at(const char *name) const { return mounted.root() / name; }
};

}  // namespace

TEST_CASE("what is removed or moved while a lower answers errors doesn't come back as the lower's file") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const int error = GENERATE(EIO, EMFILE, ESTALE, EACCES);
    CAPTURE(error);
    Stack stack;
    fs::create_directory(stack.backing / "directory");
    for (const char *name : {"removed", "moved", "directory/file"}) std::ofstream(stack.backing / name) << "lower";
    stack.mount();
    for (const char *name : {"removed", "moved"}) {
        std::ofstream(stack.at(name), std::ios::app) << " changed";
        stack.layer->fail(Call::lookup, name, error);
        const bool is_removed = std::string_view(name) == "removed";
        const int result =
            is_removed ? ::unlink(stack.at(name).c_str()) : ::rename(stack.at(name).c_str(), stack.at("new").c_str());
        const bool failed = result < 0;
        stack.layer->fail(Call::lookup, name, 0);
        support::drop_caches();
        CHECK(content(stack.at(name)) == (failed ? "lower changed" : ""));
        CHECK(fs::exists(stack.at(name)) == failed);
    }
    // A directory of the upper that moves over one that can't be looked up would show the other one's content.
    CHECK(::unlink(stack.at("directory/file").c_str()) == 0);
    CHECK(::rmdir(stack.at("directory").c_str()) == 0);
    CHECK(::mkdir(stack.at("made").c_str(), 0755) == 0);
    stack.layer->fail(Call::lookup, "directory", error);
    const bool failed = ::rename(stack.at("made").c_str(), stack.at("directory").c_str()) < 0;
    stack.layer->fail(Call::lookup, "directory", 0);
    support::drop_caches();
    CHECK(fs::exists(stack.at("directory/file")) == false);
    CHECK(fs::exists(stack.at("made")) == failed);
}

TEST_CASE("a mark that can't be read is an error: nothing that it may hide shows, and no name is left out of a listing") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    Stack stack;
    fs::create_directory(stack.backing / "opaque");
    REQUIRE(::setxattr((stack.backing / "opaque").c_str(), "trusted.overlay.opaque", "y", 1, 0) == 0);
    fs::create_directory(stack.mounted.lower() / "opaque");
    std::ofstream(stack.mounted.lower() / "opaque" / "hidden") << "hidden";
    std::ofstream(stack.backing / "plain") << "plain";
    stack.mount();
    struct stat status{};
    stack.layer->fail(Call::get_xattr, "opaque", EIO);
    CHECK(error_of(::stat(stack.at("opaque/hidden").c_str(), &status)) == EIO);
    CHECK(names_in(stack.mounted.root()) == std::set<std::string>{"opaque", "plain"});
    stack.layer->fail(Call::lookup, "plain", EIO);
    support::drop_caches();
    CHECK(names_in(stack.mounted.root()) == std::set<std::string>{"opaque", "plain"});
    CHECK(error_of(::stat(stack.at("plain").c_str(), &status)) == EIO);
    stack.layer->fail(Call::lookup, "", 0);
    CHECK(names_in(stack.at("opaque")).empty());
    CHECK(content(stack.at("plain")) == "plain");
}

TEST_CASE("a copy-up that can't read all attributes of a lower's file fails, and works when they can be read again") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    Stack stack;
    for (const char *name : {"listed", "read"}) {
        std::ofstream(stack.backing / name) << "lower";
        REQUIRE(::setxattr((stack.backing / name).c_str(), "user.kept", "value", 5, 0) == 0);
    }
    stack.mount();
    for (const char *name : {"listed", "read"}) {
        CAPTURE(name);
        stack.layer->fail(name == std::string_view("listed") ? Call::list_xattrs : Call::get_xattr, name, EIO);
        CHECK(error_of(::chmod(stack.at(name).c_str(), 0600)) == EIO);
        CHECK_FALSE(fs::exists(stack.mounted.upper() / name));
        stack.layer->fail(Call::lookup, "", 0);
        CHECK(::chmod(stack.at(name).c_str(), 0600) == 0);
        char value[8] = {};
        CHECK(::getxattr((stack.mounted.upper() / name).c_str(), "user.kept", value, sizeof value) == 5);
    }
}

TEST_CASE("what a new worker can't look up for an error is ESTALE, not gone, and is there again when the layer answers") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    const int error = GENERATE(EIO, EMFILE, ESTALE);
    CAPTURE(error);
    Stack stack;
    fs::create_directory(stack.backing / "directory");
    for (const char *name : {"file", "directory/inside"}) std::ofstream(stack.backing / name) << "lower";
    stack.mount();
    struct stat status{};
    for (const char *name : {"file", "directory/inside"}) REQUIRE(::stat(stack.at(name).c_str(), &status) == 0);
    base::Fd directory(::open(stack.at("directory").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const auto new_worker_fails_on = [&](const char *name) {
        stack.layer->fail(Call::lookup, name, error);
        REQUIRE(::kill(stack.mounted.worker(), SIGKILL) == 0);
    };
    new_worker_fails_on("directory");
    char entries[1024];
    CHECK(error_of(static_cast<int>(::syscall(SYS_getdents64, directory.get(), entries, sizeof entries))) == ESTALE);
    CHECK(error_of(::openat(directory.get(), "new", O_WRONLY | O_CREAT | O_CLOEXEC, 0644)) == ESTALE);
    directory.reset();
    new_worker_fails_on("file");
    CHECK(error_of(::chmod(stack.at("file").c_str(), 0600)) == error);
    CHECK(fs::is_empty(stack.mounted.upper()));
    stack.layer->fail(Call::lookup, "", 0);
    support::drop_caches();
    CHECK(names_in(stack.at("directory")) == std::set<std::string>{"inside"});
    for (const char *name : {"file", "directory/inside"}) CHECK(content(stack.at(name)) == "lower");
}
