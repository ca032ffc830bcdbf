// How a shared directory stores the guest's owners and links: its security model decides.

#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <catch_amalgamated.hpp>
#include <filesystem>
#include <format>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/boot/place.h"

namespace {

namespace fs = std::filesystem;
using namespace boot_test;
using Catch::Matchers::ContainsSubstring;
using Json = nlohmann::json;

uid_t owner_on_host(const std::string &path) {
    struct stat status{};
    REQUIRE(::lstat(path.c_str(), &status) == 0);
    return status.st_uid;
}

// The owner that mapped-xattr stores in an attribute; -1: none.
int mapped_owner(const std::string &path) {
    std::array<unsigned char, 4> uid{};  // little endian
    if (::lgetxattr(path.c_str(), "user.virtfs.uid", uid.data(), uid.size()) != static_cast<ssize_t>(uid.size())) return -1;
    return uid[0] | uid[1] << 8 | uid[2] << 16 | uid[3] << 24;
}

TEST_CASE("a guest's chown is real on the host, or kept beside the file, as the share's security model says") {
    if (::geteuid() != 0) SKIP("needs root, for QEMU to give files away");
    Place place(R"sh(
for model in none passthrough mapped-xattr mapped-file; do
    cd /mnt/$model
    echo words >file
    chown 1234:1234 file
    ln -s file link
    echo "$model: $(stat -c %u file) $(readlink link)"
done)sh");
    Json shares = Json::array();
    for (const char *model : {"none", "passthrough", "mapped-xattr", "mapped-file"}) {
        const std::string source = place.directory() + "/" + model;
        fs::create_directory(source);
        shares.push_back(
            {{"tag", model}, {"source", source}, {"target", std::string("/mnt/") + model}, {"securityModel", model}});
    }
    const std::string file = place.directory() + "/machine.json";
    std::ofstream(file) << Json{{"sharedDirectories", shares}}.dump();
    const auto exit = place.runvm({"run", "--timeout", "240", "--config", file, "--disk-image", ""});
    CHECK(exit.status == 0);
    for (const char *model : {"none", "passthrough", "mapped-xattr", "mapped-file"}) {
        const bool real = std::string_view(model) == "none" || std::string_view(model) == "passthrough";
        const std::string source = place.directory() + "/" + model;
        INFO(model);
        CHECK_THAT(exit.output, ContainsSubstring(std::format("{}: 1234 file", model)));
        CHECK(owner_on_host(source + "/file") == (real ? 1234 : 0));
        CHECK(fs::is_symlink(source + "/link") == real);
        CHECK(mapped_owner(source + "/file") == (std::string_view(model) == "mapped-xattr" ? 1234 : -1));
        CHECK(fs::exists(source + "/.virtfs_metadata/file") == (std::string_view(model) == "mapped-file"));
    }
}

}  // namespace
