// `stage1 union diff` on uppers of real mounts.
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <fstream>

#include "mounts/base/process.h"
#include "tests/parity/mounted.h"
#include "tests/parity/place.h"

using parity::Mounted;

namespace {

namespace fs = std::filesystem;

void write_file(const fs::path &path, std::string_view text) {
    std::ofstream(path, std::ios::app) << text;
    fs::permissions(path, static_cast<fs::perms>(0644));
}

std::string diff(const Mounted &stack, const char *form = nullptr) {
    std::vector<std::string> words{fs::path(parity::program()).replace_filename("stage1"), "union", "diff"};
    if (form != nullptr) words.emplace_back(form);
    words.push_back(stack.upper());
    words.push_back(stack.lower());
    const auto exit = base::run({.argv = std::move(words), .capture_output = true});
    REQUIRE(exit);
    CHECK(exit->status == 0);
    return exit->output;
}

}  // namespace

TEST_CASE("union diff tells what was added, modified and deleted, as text and as JSON") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    Mounted stack("store");
    for (const char *directory : {"directory/inner", "gone-directory/in", "anew", "mode", "touched"})
        fs::create_directories(stack.lower() / directory);
    for (const char *name :
         {"same", "file", "gone", "directory/inner/file", "gone-directory/in/file", "anew/old", "touched/same"})
        write_file(stack.lower() / name, "lower");
    stack.mount();
    const fs::path root = stack.root();
    CHECK(diff(stack).empty());
    CHECK(diff(stack, "--json") == "[\n]\n");

    write_file(root / "file", "more");
    write_file(root / "directory/inner/file", "more");
    fs::remove(root / "gone");
    fs::remove_all(root / "gone-directory");
    fs::remove_all(root / "anew");
    fs::create_directory(root / "anew");
    write_file(root / "anew/new", "");
    REQUIRE(::chmod((root / "mode").c_str(), 0700) == 0);
    fs::create_directories(root / "new-directory/in");
    fs::create_symlink("same", root / "new-link");
    write_file(root / "touched/brief", "");
    fs::remove(root / "touched/brief");  // nothing of it remains to report
    CHECK(
        diff(stack) ==
        "modified anew\nadded    anew/new\nmodified directory/inner/file\nmodified file\ndeleted  gone\ndeleted  gone-directory\n"
        "modified mode\nadded    new-directory\nadded    new-directory/in\nadded    new-link\n");
    const std::string json = diff(stack, "--json");
    CHECK(json.starts_with("[\n  {\"change\": \"modified\", \"path\": \"anew\", \"mode\": 16877, \"size\": "));
    for (const char *line : {"\n  {\"change\": \"added\", \"path\": \"anew/new\", \"mode\": 33188, \"size\": 0},\n",
                             "\n  {\"change\": \"modified\", \"path\": \"file\", \"mode\": 33188, \"size\": 9},\n",
                             "\n  {\"change\": \"deleted\", \"path\": \"gone-directory\"},\n",
                             "\n  {\"change\": \"added\", \"path\": \"new-link\", \"mode\": 41471, \"size\": 4}\n]\n"})
        CHECK_THAT(json, Catch::Matchers::ContainsSubstring(line));
}

// A whiteout, a file or an opaque directory of a lower hides the lowers beneath.
TEST_CASE("union diff takes for there what the union shows of several lowers") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    Mounted stack("store");
    const fs::path top = stack.base() / "top";
    for (const char *directory : {"hidden", "opaque", "file"}) {
        fs::create_directories(stack.lower() / directory);
        write_file(stack.lower() / directory / "deep", "low");
    }
    fs::create_directories(top / "opaque");
    REQUIRE(::setxattr((top / "opaque").c_str(), "trusted.overlay.opaque", "y", 1, 0) == 0);
    REQUIRE(::mknod((top / "hidden").c_str(), S_IFCHR, 0) == 0);
    write_file(top / "file", "a file");
    // As overlayfs would leave it, without the marks that are unnecessary where nothing is hidden.
    for (const char *directory : {"hidden", "opaque", "file"}) {
        fs::create_directories(stack.upper() / directory);
        write_file(stack.upper() / directory / "deep", "upper");
    }
    const auto exit = base::run(
        {.argv = {fs::path(parity::program()).replace_filename("stage1"), "union", "diff", stack.upper(), top, stack.lower()},
         .capture_output = true});
    REQUIRE(exit);
    CHECK(exit->output == "modified file\nadded    file/deep\nadded    hidden\nadded    hidden/deep\nadded    opaque/deep\n");
}

TEST_CASE("union diff follows a renamed directory to what it was") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    Mounted stack("store");
    for (const char *directory : {"a/in/deep", "b/in", "c", "d/in", "e", "back", "into"})
        fs::create_directories(stack.lower() / directory);
    for (const char *name :
         {"a/same", "a/changed", "a/gone", "a/in/deep/changed", "b/in/same", "c/same", "d/in/changed", "e/same", "back/same"})
        write_file(stack.lower() / name, "lower");
    stack.mount();
    const fs::path root = stack.root();
    fs::rename(root / "a", root / "moved");  // same directory
    write_file(root / "moved/changed", "more");
    write_file(root / "moved/new", "");
    fs::remove(root / "moved/gone");
    write_file(root / "moved/in/deep/changed", "more");
    fs::rename(root / "b/in", root / "into/b-in");  // another directory
    REQUIRE(::chmod((root / "into/b-in").c_str(), 0700) == 0);
    fs::rename(root / "d/in", root / "d/in2");  // inside a directory that moves next
    write_file(root / "d/in2/changed", "more");
    fs::rename(root / "d", root / "into/d");
    fs::rename(root / "e", root / "tmp");  // two directories swap names
    fs::rename(root / "c", root / "e");
    fs::rename(root / "tmp", root / "c");
    fs::rename(root / "back", root / "away");  // and back
    fs::rename(root / "away", root / "back");
    REQUIRE(stack.unmount() == 0);
    CHECK(diff(stack) ==
          "moved    e -> c\nmoved    c -> e\nmoved    b/in -> into/b-in\nmoved    d -> into/d\n"
          "moved    d/in -> into/d/in2\nmodified into/d/in2/changed\nmoved    a -> moved\nmodified moved/changed\n"
          "deleted  moved/gone\nmodified moved/in/deep/changed\nadded    moved/new\n");
    const std::string json = diff(stack, "--json");
    for (const char *part : {R"({"change": "moved", "path": "into/b-in", "mode": 16832, "size": )", R"(, "from": "b/in"})",
                             R"({"change": "deleted", "path": "moved/gone"})"})
        CHECK_THAT(json, Catch::Matchers::ContainsSubstring(part));
}

TEST_CASE("union diff gives names that hold newlines, quotes and any bytes") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    Mounted stack("store");
    write_file(stack.lower() / "deleted\nname", "lower");
    stack.mount();
    write_file(stack.root() / "quote\" \\ tab\t", "");
    write_file(stack.root() / "stra\u00dfe \u65e5\u672c", "");
    write_file(stack.root() / "z\xff latin", "");
    fs::remove(stack.root() / "deleted\nname");
    CHECK(
        diff(stack) ==
        "deleted  deleted\\012name\nadded    quote\" \\134 tab\\011\nadded    stra\u00dfe \u65e5\u672c\nadded    z\xff latin\n");
    const std::string object = R"(, "mode": 33188, "size": 0})";
    CHECK(diff(stack, "--json") ==
          "[\n  {\"change\": \"deleted\", \"path\": \"deleted\\u000aname\"},\n"
          "  {\"change\": \"added\", \"path\": \"quote\\\" \\\\ tab\\u0009\"" +
              object +
              ",\n"
              "  {\"change\": \"added\", \"path\": \"stra\u00dfe \u65e5\u672c\"" +
              object +
              ",\n"
              "  {\"change\": \"added\", \"path\": \"z\ufffd latin\"" +
              object + "\n]\n");
}

TEST_CASE("union diff takes user.overlay.* of a privileged union for what it is, its users' own attributes") {
    if (const std::string reason = parity::missing(); !reason.empty()) SKIP(reason);
    Mounted stack("store");
    for (const char *directory : {"home/theirs", "secret"}) fs::create_directories(stack.lower() / directory);
    for (const char *name : {"home/empty", "home/theirs/file", "secret/file"}) write_file(stack.lower() / name, "lower");
    stack.mount();
    REQUIRE(::truncate((stack.root() / "home/empty").c_str(), 0) == 0);
    const auto mark = [&](const char *name, const char *attribute, std::string_view value) {
        REQUIRE(::setxattr((stack.root() / name).c_str(), attribute, value.data(), value.size(), 0) == 0);
    };
    mark("home/empty", "user.overlay.whiteout", "y");
    mark("home/theirs", "user.overlay.opaque", "y");
    fs::create_directory(stack.root() / "home/new");
    mark("home/new", "user.overlay.redirect", "/secret");
    CHECK(diff(stack) == "modified home/empty\nadded    home/new\n");
    CHECK(stack.unmount() == 0);
}
