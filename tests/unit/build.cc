// The input of `runvm build`: a derivation's environment as Nix and shells leave it, and the archive that a guest sends.

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <catch_amalgamated.hpp>
#include <cstdlib>
#include <filesystem>
#include <format>
#include <fstream>

#include "hostside/build/derivation.h"
#include "hostside/build/nar_unpacker.h"
#include "mounts/base/at.h"
#include "mounts/base/process.h"
#include "mounts/nix/nar.h"

namespace {

namespace fs = std::filesystem;
using Catch::Matchers::ContainsSubstring;
using hostside::Derivation;
using hostside::NarUnpacker;

constexpr const char *out = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-x";

class Directory {
  public:
    Directory() {
        std::string pattern = (fs::temp_directory_path() / "build-XXXXXX").string();
        REQUIRE(::mkdtemp(pattern.data()) != nullptr);
        path_ = pattern;
    }
    ~Directory() { fs::remove_all(path_); }
    Directory(const Directory &) = delete;
    Directory &operator=(const Directory &) = delete;
    [[nodiscard]] const std::string &path() const { return path_; }
    void write(const std::string &name, const std::string &text) const { std::ofstream(path_ + "/" + name) << text; }

  private:
    std::string path_;
};

TEST_CASE("variables come back from bash's and dash's export as they were") {
    const Derivation::Variables wanted = {{"plain", "/usr/bin:/bin"},
                                          {"lines", "one\n  two\n\nthree\n"},
                                          {"quotes", R"(a "b" 'c' `d` $e ${f} \g \\ h!)"},
                                          {"bytes", "\x01\x1b[0m\ttab \xc3\xa9 \xff|"},
                                          {"empty", ""}};
    std::vector<std::string> environment;
    for (const auto &[name, value] : wanted) environment.push_back(name + "=" + value);
    for (const char *shell : {"/bin/bash", "/bin/dash"}) {
        INFO(shell);
        const auto said = base::run({.argv = {shell, "-c", "export"}, .environment = environment, .capture_output = true});
        REQUIRE(said);
        const auto variables = hostside::variables_in(said->output, "env-vars");
        INFO(said->output);
        REQUIRE(variables);
        for (const auto &one : wanted) CHECK(std::ranges::find(*variables, one) != variables->end());
    }
    std::string zeros;
    for (const auto &one : environment) zeros += one + '\0';
    CHECK(hostside::variables_in(zeros, "environ") == wanted);
}

TEST_CASE("what is no environment is told by its line") {
    const auto error = [](const std::string &text) { return message(hostside::variables_in(text, "env-vars").error()); };
    CHECK(error("declare -x a=\"b\"\nrm -rf /\n") == "read environment 'env-vars': line 3: 'rm' instead of declare -x or export");
    CHECK(error("declare -x a=\"b\n\n") == "read environment 'env-vars': line 3: an unclosed quote");
    CHECK_THAT(error("export a=$'\\q'"), ContainsSubstring("\\q in $'…' is unknown"));
    const auto odd =
        hostside::variables_in("declare -x unset\ndeclare -ax list=([0]=\"a\" [1]=\"b\")\nexport b=c d='e'\\''f'\n", "");
    REQUIRE(odd);
    CHECK(*odd == Derivation::Variables{{"b", "c"}, {"d", "e'f"}});
}

TEST_CASE("a derivation's outputs and files are found, and its builder's environment is as Nix makes it") {
    const Directory place;
    place.write("env-vars", std::format("declare -x out=\"{0}\"\ndeclare -x lib=\"{0}-lib\"\ndeclare -x outputs=\"out lib\"\n"
                                        "declare -x HOME=\"/somewhere\"\ndeclare -x TMPDIR=\"/tmp/nix-build\"\n"
                                        "declare -x SHLVL=\"1\"\ndeclare -x passAsFile=\"text none\"\n"
                                        "declare -x textPath=\"/build/.attr-1\"\n",
                                        out));
    place.write(".attr-1", "long");
    const auto derivation = hostside::derivation_in(place.path());
    REQUIRE(derivation);
    REQUIRE(derivation->outputs.size() == 2);
    CHECK(derivation->outputs[1].name == "lib");
    CHECK(derivation->outputs[1].path == std::string(out) + "-lib");
    REQUIRE(derivation->files.size() == 1);
    CHECK(derivation->files[0].from == place.path() + "/.attr-1");
    CHECK(hostside::builder_environment(*derivation, "/build-2", 3) ==
          std::vector<std::string>{"HOME=/somewhere", "NIX_BUILD_CORES=3", "NIX_BUILD_TOP=/build-2", "NIX_LOG_FD=2",
                                   "NIX_STORE=/nix/store", "PATH=/path-not-set", "PWD=/build-2", "TEMP=/build-2",
                                   "TEMPDIR=/build-2", "TERM=xterm-256color", "TMP=/build-2", "TMPDIR=/build-2",
                                   std::format("lib={}-lib", out), std::format("out={}", out), "outputs=out lib",
                                   "passAsFile=text none", "textPath=/build-2/.attr-1"});
}

TEST_CASE("a derivation with structured attributes brings its two files, and what is wrong with one is told") {
    const Directory place;
    const auto error = [&] { return message(hostside::derivation_in(place.path()).error()); };
    CHECK_THAT(error(), ContainsSubstring("a derivation's directory must have env-vars, or .attrs.json and .attrs.sh"));
    place.write(".attrs.json", std::format(R"({{"builder":"/bin/sh","outputs":{{"out":"{}"}}}})", out));
    CHECK_THAT(error(), ContainsSubstring("/.attrs.sh': No such file or directory"));
    place.write(".attrs.sh", "declare out=");
    const auto derivation = hostside::derivation_in(place.path());
    REQUIRE(derivation);
    CHECK(derivation->outputs.front().path == out);
    const auto environment = hostside::builder_environment(*derivation, "/build", 1);
    CHECK(std::ranges::find(environment, "NIX_ATTRS_JSON_FILE=/build/.attrs.json") != environment.end());
    CHECK(std::ranges::find(environment, "NIX_ATTRS_SH_FILE=/build/.attrs.sh") != environment.end());
    place.write(".attrs.json", R"({"outputs":{"../x":"/nix/store/0123456789abcdfghijklmnpqrsvwxyz-x"}})");
    CHECK_THAT(error(), ContainsSubstring("read derivation '../x': not a valid name for an output"));
    place.write(".attrs.json", R"({"outputs":{"out":"/etc/passwd"}})");
    CHECK_THAT(error(), ContainsSubstring("output at '/etc/passwd'"));
    place.write(".attrs.json", "[]");
    CHECK_THAT(error(), ContainsSubstring("no object \"outputs\""));
    // Whatever the author did, the result is a message, not a crash or a hang.
    place.write(".attrs.json", "[");
    CHECK_THAT(error(), ContainsSubstring("line 1, column 2: this is not valid JSON"));
    place.write(".attrs.json", std::string(1'000'000, '['));
    CHECK_THAT(error(), ContainsSubstring("a derivation is at most 256 levels deep"));
    place.write(".attrs.json", std::format(R"({{"outputs":{{"out":"{0}"}},"outputs":{{"out":"{0}"}}}})", out));
    CHECK_THAT(error(), ContainsSubstring("'/outputs': appears twice in its object; keep one"));
    place.write(".attrs.json", R"({"n":1e999})");
    CHECK_THAT(error(), ContainsSubstring("this number is too large"));
    for (const auto *name : {".attrs.json", "env-vars"}) {
        fs::remove(place.path() + "/" + name);
        REQUIRE(::mkfifo((place.path() + "/" + name).c_str(), 0600) == 0);
        CHECK_THAT(error(), ContainsSubstring(name));
    }
}

// --- the archive ---
std::string word(std::string_view text) {
    std::string bytes(8, '\0');
    for (size_t i = 0, n = text.size(); i < 8; ++i, n >>= 8) bytes[i] = static_cast<char>(n & 0xff);
    return bytes + std::string(text) + std::string((8 - text.size() % 8) % 8, '\0');
}

std::string words(std::initializer_list<std::string_view> texts) {
    std::string bytes;
    for (const auto text : texts) bytes += word(text);
    return bytes;
}

std::string file_entry(std::string_view name) {
    return words({"entry", "(", "name", name, "node", "(", "type", "regular", "contents", "x", ")", ")"});
}

base::Result<> unpack(const Directory &place, const std::string &nar, size_t part = 1 << 20, std::string *trailer = nullptr,
                      uint64_t most_bytes = 0) {
    const base::Fd directory = *base::open_at(AT_FDCWD, place.path(), O_RDONLY | O_DIRECTORY);
    hostside::Allowance allowance(most_bytes);
    NarUnpacker unpacker(directory.get(), "tree", allowance);
    for (size_t at = 0; at < nar.size(); at += part)
        if (auto taken = unpacker.take(std::string_view(nar).substr(at, part)); !taken) return taken;
    if (!unpacker.whole()) return base::fail(0, "unpack", "", "not whole");
    if (trailer != nullptr) *trailer = unpacker.trailer();
    return {};
}

TEST_CASE("a tree comes out of its archive as it went in, however the stream is cut, and what stands behind is kept") {
    const Directory from;
    fs::create_directories(from.path() + "/tree/a/b");
    fs::create_directory(from.path() + "/tree/empty");
    from.write("tree/a/b/file", std::string(100'003, 'z'));
    from.write("tree/a/none", "");
    from.write("tree/run", "#!/bin/sh\n");
    fs::permissions(from.path() + "/tree/run", fs::perms(0755));
    fs::create_symlink("/etc/passwd", from.path() + "/tree/link");
    std::string nar;
    REQUIRE(mounts::write_nar(from.path() + "/tree", [&](std::string_view bytes) { nar += bytes; }));
    for (const size_t part : {size_t{1}, size_t{7}, size_t{4096}, nar.size() + 9}) {
        const Directory to;
        std::string trailer;
        REQUIRE(unpack(to, nar + "the hash\n", part, &trailer));
        CHECK(trailer == "the hash\n");
        std::string again;
        REQUIRE(mounts::write_nar(to.path() + "/tree", [&](std::string_view bytes) { again += bytes; }));
        CHECK(again == nar);
    }
}

TEST_CASE("an archive that a hostile guest wrote makes nothing beside its tree, and is refused by what is wrong") {
    const std::string begin = words({"nix-archive-1", "(", "type", "directory"});
    const auto error = [](const std::string &nar) {
        const Directory to;
        const auto unpacked = unpack(to, nar);
        for (const auto &entry : fs::directory_iterator(to.path())) CHECK(entry.path().filename() == "tree");
        return unpacked ? "nothing" : message(unpacked.error());
    };
    CHECK(error(begin + file_entry("a") + file_entry("b") + word(")") + word(")")) == "nothing");
    using namespace std::string_view_literals;
    for (const auto name : {".."sv, "."sv, ""sv, "a/b"sv, "/etc/x"sv, "a\0b"sv})
        CHECK_THAT(error(begin + file_entry(name)), ContainsSubstring("it is not a Nix archive (NAR): an entry named"));
    CHECK_THAT(error(begin + file_entry("b") + file_entry("a")), ContainsSubstring("'a' after 'b'"));
    CHECK_THAT(error(begin + file_entry("b") + file_entry("b")), ContainsSubstring("'b' after 'b'"));
    // The archive can't write through a symlink with that name.
    CHECK_THAT(error(begin + words({"entry", "(", "name", "a", "node", "(", "type", "symlink", "target", "/tmp", ")", ")"}) +
                     file_entry("a")),
               ContainsSubstring("'a' after 'a'"));
    CHECK_THAT(error(words({"nix-archive-1", "(", "type", "device"})), ContainsSubstring("'device' instead of 'regular'"));
    CHECK_THAT(error(words({"nix-archive-1", "(", "type", "symlink", "target", ""})),
               ContainsSubstring("a symlink without a valid target"));
    CHECK_THAT(error(std::string("\xff\xff\xff\xff\xff\xff\xff\xff", 8)),
               ContainsSubstring("a word has 18446744073709551615 bytes"));
    CHECK_THAT(error("#!/bin/sh\nexec"), ContainsSubstring("a word has "));
    std::string padded = word("nix-archive-1");
    padded.back() = 'x';
    CHECK_THAT(error(padded), ContainsSubstring("the padding is not zero"));
    std::string deep = word("nix-archive-1");
    for (size_t i = 0; i <= NarUnpacker::depth_limit; ++i)
        deep += words({"(", "type", "directory", "entry", "(", "name", "d", "node"});
    CHECK_THAT(error(deep), ContainsSubstring("more than 256 levels of directories"));
    CHECK_THAT(error(begin + word(")") + word(")") + std::string(NarUnpacker::trailer_limit_bytes + 1, 'x')),
               ContainsSubstring("it has no end"));
    CHECK_THAT(error(begin), ContainsSubstring("not whole"));
}

std::string length_word(uint64_t length) {
    std::string bytes(8, '\0');
    for (size_t i = 0; i < 8; ++i, length >>= 8) bytes[i] = static_cast<char>(length & 0xff);
    return bytes;
}

TEST_CASE("what a guest says that it will send is believed before a byte of it is written, and bounded in size and number") {
    const Directory to;
    const std::string file = words({"nix-archive-1", "(", "type", "regular", "contents"});
    const auto error = [&](const std::string &nar, uint64_t most) {
        const auto unpacked = unpack(to, nar, 1 << 20, nullptr, most);
        return unpacked ? "nothing" : message(unpacked.error());
    };
    constexpr uint64_t mib = 1 << 20;
    CHECK_THAT(error(file + length_word(mib), mib),
               ContainsSubstring("the guest sends more than 1048576 bytes in all; raise --max-output to allow that"));
    CHECK_FALSE(fs::exists(to.path() + "/tree"));
    // Larger than any disk, and larger than the number type.
    for (const uint64_t length : {uint64_t{1} << 60, ~uint64_t{0}}) {
        CHECK_THAT(error(file + length_word(length), 0), ContainsSubstring("No space left on device"));
        CHECK_FALSE(fs::exists(to.path() + "/tree"));
        CHECK_THAT(error(file + length_word(length), mib), ContainsSubstring("the guest sends more than"));
    }
    std::string many = words({"nix-archive-1", "(", "type", "directory"});
    for (int i = 1000; i < 2000; ++i) many += file_entry(std::to_string(i));
    CHECK_THAT(error(many + word(")") + word(")"), mib), ContainsSubstring("the guest sends more than"));
    CHECK(std::distance(fs::directory_iterator(to.path() + "/tree"), {}) < 256);
}

TEST_CASE("a guest can't fill the file system that its outputs come to") {
    if (::geteuid() != 0) SKIP("needs a file system of its own");
    const Directory place;
    const std::string small = place.path() + "/small";
    fs::create_directory(small);
    REQUIRE(::mount("small", small.c_str(), "tmpfs", 0, "size=10m,nr_inodes=200") == 0);
    const auto into = [&](const std::string &nar) {
        const base::Fd directory = *base::open_at(AT_FDCWD, small, O_RDONLY | O_DIRECTORY);
        hostside::Allowance allowance(0);
        const auto taken = NarUnpacker(directory.get(), "tree", allowance).take(nar);
        return taken ? "nothing" : message(taken.error());
    };
    const std::string file = words({"nix-archive-1", "(", "type", "regular", "contents"});
    CHECK_THAT(into(file + length_word(10'450'000)),
               ContainsSubstring("make room for the guest's files in '" + small) && ContainsSubstring("10450000 are needed"));
    std::string many = words({"nix-archive-1", "(", "type", "directory"});
    for (int i = 1000; i < 1300; ++i) many += file_entry(std::to_string(i));
    CHECK_THAT(into(many), ContainsSubstring("its inodes are almost used up"));
    struct statvfs st{};
    REQUIRE(::statvfs(small.c_str(), &st) == 0);
    CHECK(st.f_favail > 0);
    REQUIRE(::umount(small.c_str()) == 0);
}

}  // namespace
