#include "stage1/disk/verdict.h"

#include <algorithm>
#include <catch_amalgamated.hpp>
#include <cerrno>
#include <string>

#include "stage1/disk/backup_signatures.h"
#include "stage1/disk/intent.h"
#include "stage1/disk/zero_scan.h"

namespace {

using namespace stage1;
using mounts::Signature;

constexpr uint64_t MiB = uint64_t{1} << 20;
const Ext4Recipe recipe{.size_bytes = 64 * MiB,
                        .sector_bytes = 512,
                        .label = "nixos",
                        .uuid = "0a1b2c3d-0000-4000-8000-00000000aaaa",
                        .hash_seed = "0a1b2c3d-0000-4000-8000-00000000bbbb",
                        .time = 1373673600};

DiskFacts blank() {
    DiskFacts facts;
    facts.identity = {.number = 1, .size_bytes = 64 * MiB, .sector_bytes = 512, .sequence = 7};
    return facts;
}

DiskFacts with(Signature signature) {
    DiskFacts facts = blank();
    facts.signature = std::move(signature);
    return facts;
}

Signature found(const char *type, const char *usage) {
    Signature signature{.outcome = Signature::Outcome::found};
    signature.type = type;
    signature.usage = usage;
    signature.uuid = recipe.uuid;
    return signature;
}

constexpr const char *give_up =
    "if you need nothing on it, start with a new disk (runvm --fresh), or overwrite all of it with zeros (blkdiscard --zeroout)";

}  // namespace

TEST_CASE("nothing is decided about a disk without a signature before it was read", "[disk]") {
    CHECK(decide(blank()).action == Action::examine);
    DiskFacts interrupted = blank();
    interrupted.intent = recipe;
    CHECK(decide(interrupted).action == Action::examine);
}

TEST_CASE("a disk that was read as empty is formatted, or its format finished", "[disk]") {
    DiskFacts facts = blank();
    facts.emptiness = Emptiness{};
    CHECK(decide(facts).action == Action::format);
    facts.intent = recipe;
    CHECK(decide(facts).action == Action::finish);
}

TEST_CASE("a sound file system is kept, whatever stands in its first sector", "[disk]") {
    CHECK(decide(with(found("ext4", "filesystem"))).action == Action::keep);
    CHECK(decide(with(found("xfs", "filesystem"))).action == Action::keep);
    DiskFacts facts = with(found("ext4", "filesystem"));
    facts.intent = recipe;
    facts.signature.uuid = "0a1b2c3d-0000-4000-8000-00000000cccc";
    CHECK(decide(facts).action == Action::keep);
}

TEST_CASE("a sound superblock beside our intent is no proof of the rest: it is finished, or was in use and is kept", "[disk]") {
    DiskFacts facts = with(found("ext4", "filesystem"));
    facts.intent = recipe;
    CHECK(decide(facts).action == Action::examine);
    facts.emptiness = Emptiness{};
    CHECK(decide(facts).action == Action::finish);
    facts.emptiness = Emptiness{Emptiness::Outcome::foreign, 4711, 0};
    CHECK(decide(facts).action == Action::clear_intent);
    facts.emptiness = Emptiness{Emptiness::Outcome::unreadable, 4711, EIO};
    CHECK(decide(facts).action == Action::keep);
    facts.emptiness.reset();
    facts.read_only = true;
    CHECK(decide(facts).action == Action::keep);
    facts.read_only = false;
    facts.identity.size_bytes *= 2;
    CHECK(decide(facts).action == Action::keep);
}

TEST_CASE("a disk of which a byte can't be read is refused, though all that was read is zero", "[disk]") {
    DiskFacts facts = blank();
    facts.emptiness = Emptiness{Emptiness::Outcome::unreadable, 4711, EIO};
    for (const bool begun : {false, true}) {
        if (begun) facts.intent = recipe;
        CHECK(decide(facts).action == Action::refuse);
        CHECK(decide(facts).reason.contains("byte 4711 cannot be read"));
    }
}

TEST_CASE("each refusal says why and what to do", "[disk]") {
    const auto reason = [](const DiskFacts &facts) {
        const Verdict verdict = decide(facts);
        CHECK(verdict.action == Action::refuse);
        return verdict.reason;
    };
    CHECK(reason(with({.outcome = Signature::Outcome::ambivalent})) ==
          std::string("it holds signatures of several things at once (wipefs shows which); remove the wrong one, or ") + give_up);
    CHECK(reason(with({.outcome = Signature::Outcome::unreadable, .code = EIO})) ==
          "it cannot be read: " + base::errno_text(EIO) + "; what can't be read may hold data");
    CHECK(reason(with({.outcome = Signature::Outcome::unreadable})) ==
          "it cannot be read: input/output error; what can't be read may hold data");
    CHECK(reason(with(found("crypto_LUKS", "crypto"))) ==
          "it holds crypto_LUKS UUID=0a1b2c3d-0000-4000-8000-00000000aaaa, which is no file system; name another device, or " +
              std::string(give_up));
    DiskFacts bad = with(found("ext4", "filesystem"));
    bad.signature.bad_checksum = true;
    CHECK(reason(bad) ==
          "it holds ext4 UUID=0a1b2c3d-0000-4000-8000-00000000aaaa (superblock checksum wrong); repair it with e2fsck, or " +
              std::string(give_up));
    DiskFacts table = with(found("", ""));
    table.signature.uuid.clear();
    table.signature.partition_table = "gpt";
    CHECK(reason(table) == "it holds a gpt partition table; name one of its partitions, or " + std::string(give_up));
    table.partitions = "vda1 (90 MiB, ext4 LABEL=nixos)";
    CHECK(reason(table) ==
          "it holds a gpt partition table; name one of its partitions with root=: vda1 (90 MiB, ext4 LABEL=nixos); or " +
              std::string(give_up));
    DiskFacts resized = blank();
    resized.intent = recipe;
    resized.identity.size_bytes = 128 * MiB;
    CHECK(reason(resized) ==
          "an earlier format was interrupted when it had 64 MiB, and now it has 128 MiB; " + std::string(give_up));
    DiskFacts foreign = blank();
    foreign.emptiness = Emptiness{Emptiness::Outcome::foreign, 4711, 0};
    CHECK(reason(foreign) ==
          "it is not empty, though nothing known is on it: byte 4711 is the first that is not zero; " + std::string(give_up));
    foreign.intent = recipe;
    CHECK(reason(foreign) == "an earlier format was interrupted, but byte 4711 is not from that format; " + std::string(give_up));
}

TEST_CASE("a torn superblock beside our intent is examined, never taken for somebody's", "[disk]") {
    DiskFacts facts = with(found("ext4", "filesystem"));
    facts.signature.bad_checksum = true;
    facts.intent = recipe;
    CHECK(decide(facts).action == Action::examine);
}

TEST_CASE("an intent reads back as what was written, and any changed byte makes it none", "[disk]") {
    const IntentSector sector = encode_intent(recipe);
    CHECK(decode_intent(sector) == recipe);
    for (size_t i = 0; i < sector.size(); ++i) {
        IntentSector changed = sector;
        changed[i] ^= std::byte{0x40};
        INFO("byte " << i);
        CHECK_FALSE(decode_intent(changed));
    }
    CHECK_FALSE(decode_intent(IntentSector{}));
}

TEST_CASE("a disk that nobody vouches for is read whole", "[disk]") {
    CHECK(ranges_to_read(512 * MiB, false) == std::vector<Range>{{0, 512 * MiB}});
    CHECK(ranges_to_read(MiB, true) == std::vector<Range>{{0, MiB}});
}

TEST_CASE("what is read of a vouched disk covers both ends and each place of a backup", "[disk]") {
    for (const uint64_t size : {64 * MiB, 512 * MiB, uint64_t{300} * 1024 * MiB + 512}) {
        const auto ranges = ranges_to_read(size, true);
        const auto covers = [&](uint64_t offset, uint64_t length) {
            return std::ranges::any_of(
                ranges, [&](const Range &r) { return r.offset <= offset && offset + length <= r.offset + r.size_bytes; });
        };
        CHECK(covers(0, MiB));
        CHECK(covers(size - MiB, MiB));
        for (const BackupPlace &place : backup_places(size)) {
            INFO(place.what << " at " << place.offset);
            CHECK(covers(place.offset + place.magic_at, place.magic.size()));
        }
        for (size_t i = 1; i < ranges.size(); ++i) CHECK(ranges[i - 1].offset + ranges[i - 1].size_bytes < ranges[i].offset);
    }
}
