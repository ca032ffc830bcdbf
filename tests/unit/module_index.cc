#include "mounts/kernel/module_index.h"

#include <catch_amalgamated.hpp>

using mounts::ModuleIndex;

namespace {

const mounts::ModuleTexts texts{
    .dep =
        "kernel/fs/ext4/ext4.ko.xz: kernel/fs/jbd2/jbd2.ko.xz kernel/lib/crc16.ko.xz\n"
        "kernel/fs/jbd2/jbd2.ko.xz:\n"
        "kernel/lib/crc16.ko.xz:\n"
        "kernel/arch/x86/crypto/crc32c-intel.ko.xz:\n"
        "kernel/crypto/crc32c_generic.ko.xz:\n"
        "kernel/net/9p/9pnet_virtio.ko: kernel/net/9p/9pnet.ko\n"
        "kernel/net/9p/9pnet.ko:\n"
        "a line without a colon\n"
        "kernel/one.ko: kernel/two.ko\n"
        "kernel/two.ko: kernel/one.ko\n",
    .alias =
        "# Aliases extracted from modules themselves.\n"
        "alias fs-ext4 ext4\nalias virtio:d00000009v* 9pnet_virtio\nalias crc32c crc32c_intel\nalias crc32c "
        "crc32c_generic\nalias broken\n",
    .softdep = "softdep ext4 pre: crc32c\n",
    .builtin = "kernel/fs/fuse/fuse.ko\n",
};

std::string order(const std::vector<std::string> &names) {
    std::string out;
    for (const auto &step : ModuleIndex(texts).plan(names).steps) out += mounts::module_name(step.path) + " ";
    return out;
}

}  // namespace

TEST_CASE("dependencies come first, soft ones too, each once") {
    CHECK(order({"fs-ext4"}) == "crc32c_intel crc32c_generic crc16 jbd2 ext4 ");
    CHECK(order({"ext4", "jbd2", "crc32c-intel"}) == "crc32c_intel crc32c_generic crc16 jbd2 ext4 ");
}

TEST_CASE("a device's modalias leads to its driver") { CHECK(order({"virtio:d00000009v00001AF4"}) == "9pnet 9pnet_virtio "); }

TEST_CASE("what is built in is not missing, what is nowhere is") {
    const auto plan = ModuleIndex(texts).plan({"fuse", "fs-fuse", "fs-zfs"});
    CHECK(plan.steps.empty());
    CHECK(plan.missing == std::vector<std::string>{"fs-zfs"});
}

TEST_CASE("a cycle in a damaged modules.dep ends") { CHECK(order({"one"}) == "two one "); }

TEST_CASE("each step names the earlier ones that it needs") {
    const auto plan = ModuleIndex(texts).plan({"9pnet_virtio"});
    REQUIRE(plan.steps.size() == 2);
    CHECK(plan.steps[0].after.empty());
    CHECK(plan.steps[1].after == std::vector<size_t>{0});
}

TEST_CASE("a chain of a hundred thousand modules needs no stack", "[modules]") {
    constexpr size_t length = 100'000;
    mounts::ModuleTexts chain;
    for (size_t i = 0; i < length; ++i) chain.dep += "m" + std::to_string(i) + ".ko: m" + std::to_string(i + 1) + ".ko\n";
    chain.dep += "m" + std::to_string(length) + ".ko: m0.ko\n";  // and back
    const auto plan = ModuleIndex(chain).plan({"m0"});
    REQUIRE(plan.steps.size() == length + 1);
    CHECK(plan.steps.front().path == "m100000.ko");
    CHECK(plan.steps.back().path == "m0.ko");
    CHECK(plan.steps.back().after == std::vector<size_t>{length - 1});
}
