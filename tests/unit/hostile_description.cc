// Malicious descriptions: too deep, too large, ambiguous, or not a file.
#include <sys/stat.h>

#include <catch_amalgamated.hpp>
#include <filesystem>
#include <fstream>
#include <string>

#include "hostside/description/description.h"
#include "mounts/base/process.h"
#include "tests/support/disk.h"

namespace {

using Catch::Matchers::ContainsSubstring;

// In a separate process with a time limit, because a failure here crashes or hangs.
base::Exit config(std::vector<std::string> words) {
    const auto runvm = std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "runvm";
    words.insert(words.begin(), {"timeout", "60", runvm.string(), "config"});
    const auto exit = base::run({.argv = words, .capture_output = true});
    REQUIRE(exit);
    return *exit;
}

std::string refusal(const std::string &json) {
    const support::ScratchDirectory scratch;
    std::ofstream(scratch.path("vm.json")) << json;
    const base::Exit exit = config({"--config", scratch.path("vm.json")});
    INFO(exit.output);
    REQUIRE(exit.status == 124);
    CHECK(exit.output.size() < 1000);
    const std::string begin = "runvm: " + scratch.path("vm.json");
    if (exit.output.starts_with("runvm: read description '")) return exit.output;
    REQUIRE(exit.output.starts_with(begin));
    return exit.output.substr(begin.size());
}

std::string repeated(const std::string &text, size_t times) {
    std::string all;
    for (size_t i = 0; i < times; ++i) all += text;
    return all;
}

}  // namespace

TEST_CASE("a description that is too deep or has too many keys is refused in words") {
    constexpr size_t many = 1'000'000;
    CHECK(refusal("{\"memorySize\":" + std::string(many, '[') + std::string(many, ']') + "}")
              .ends_with("': a description is at most 16 levels deep\n"));
    CHECK(refusal(std::string(many, '[')).contains("at most 16 levels deep"));
    CHECK(refusal(repeated("{\"a\":", many)).contains("at most 16 levels deep"));
    std::string keys = "{";
    for (size_t i = 0; i < many; ++i) keys += "\"" + std::to_string(i) + "\":0,";
    CHECK_THAT(refusal(keys + "\"x\":0}"), ContainsSubstring("a description has at most 10000 keys"));
    CHECK_THAT(refusal("{\"" + std::string(many, 'k') + "\":0}"), ContainsSubstring("kkk...': no such option"));
    CHECK_THAT(refusal("{\"name\":[\"" + std::string(many, 'k') + "\"]}"), ContainsSubstring("must be a string, not [\"kkk"));
}

TEST_CASE("a description that is too large is refused in words") {
    CHECK(refusal(std::string(size_t{17} << 20, ' ')).ends_with("': File too large; the limit is 16777216 bytes\n"));
}

TEST_CASE("a number that no machine can hold is refused with its place") {
    CHECK(refusal("{\n \"memorySize\": 1e999}") == ": line 2, column 20: this number is too large\n");
    const auto exit = config({"--cores", "1e999"});
    CHECK(exit.output == "runvm: --cores: must be a whole number, not 1e999\n");
}

TEST_CASE("a key that stands twice is refused with its place") {
    CHECK(refusal(R"({"memorySize":512,"memorySize":1024})") == " '/memorySize': appears twice in its object; keep one\n");
    CHECK(refusal(R"({"drives":[{"file":"a"},{"file":"a","file":"b"}]})") ==
          " '/drives/1/file': appears twice in its object; keep one\n");
    CHECK(refusal(R"({"sharedDirectories":{"a":{"source":"/","target":"/a"},"a":{"source":"/etc","target":"/a"}}})") ==
          " '/sharedDirectories/a': appears twice in its object; keep one\n");
    const auto exit = config({"--drives", R"({"file":"a","file":"b"})"});
    CHECK(exit.output == "runvm: --drives '/file': appears twice in its object; keep one\n");
}

TEST_CASE("JSON in a flag is bounded as that of a file") {
    const auto exit = config({"--drives", std::string(100'000, '[') + std::string(20'000, ']')});
    CHECK(exit.status == 124);
    const auto deep = config({"--drives", std::string(60'000, '[') + std::string(60'000, ']')});
    CHECK(deep.output.ends_with("a description is at most 16 levels deep\n"));
}

TEST_CASE("a description may come from a pipe, and is not waited for at a FIFO or read from a device") {
    const support::ScratchDirectory scratch;
    REQUIRE(::mkfifo(scratch.path("fifo").c_str(), 0600) == 0);
    for (const std::string &path : {scratch.path("fifo"), std::string("/dev/zero"), scratch.path()}) {
        const auto exit = config({"--config", path});
        CHECK(exit.output == "runvm: read description '" + path + "': neither a file nor a pipe; name a file\n");
    }
    const auto runvm = std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path() / "runvm";
    const auto piped =
        base::run({.argv = {"bash", "-c", R"("$0" config --config <(sleep 0.1; echo '{"cores":7}'))", runvm.string()},
                   .capture_output = true});
    REQUIRE(piped);
    CHECK_THAT(piped->output, ContainsSubstring("cores = 7"));
}

TEST_CASE("an empty value of a flag is that, and the next flag is another") {
    const auto exit = config({"--disk-image=", "--cores", "2"});
    INFO(exit.output);
    CHECK_THAT(exit.output,
               ContainsSubstring("diskImage = \"\"  # --disk-image\n") && ContainsSubstring("cores = 2  # --cores\n"));
}
