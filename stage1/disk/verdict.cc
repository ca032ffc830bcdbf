#include "stage1/disk/verdict.h"

#include <format>

namespace stage1 {

namespace {

constexpr std::string_view give_up_hint =
    "if you need nothing on it, start with a new disk (runvm --fresh), or overwrite all of it with zeros (blkdiscard --zeroout)";

Verdict refuse(std::string reason) { return {Action::refuse, std::move(reason)}; }

Verdict unreadable(const std::string &where, int code) {
    return refuse(std::format("{} cannot be read: {}; what can't be read may hold data", where,
                              code != 0 ? base::errno_text(code) : "input/output error"));
}

Verdict decide_found(const DiskFacts &facts) {
    const mounts::Signature &found = facts.signature;
    const bool ext = found.type.starts_with("ext");
    if (!found.partition_table.empty())
        return refuse(std::format("it holds a {}; name one of its partitions{} or {}", mounts::describe(found),
                                  facts.partitions.empty() ? "," : " with root=: " + facts.partitions + ";", give_up_hint));
    if (found.bad_checksum && ext)
        return refuse(std::format("it holds {}; repair it with e2fsck, or {}", mounts::describe(found), give_up_hint));
    if (found.bad_checksum) return refuse(std::format("it holds a damaged {}; {}", mounts::describe(found), give_up_hint));
    if (found.usage == "filesystem") return {Action::keep, {}};
    return refuse(
        std::format("it holds {}, which is no file system; name another device, or {}", mounts::describe(found), give_up_hint));
}

// The disk has a sound superblock of the intended ext4. Only a comparison shows whether the rest is there too. If that is
// impossible, keep the disk, because keeping does no harm.
Verdict decide_intended(const DiskFacts &facts) {
    if (facts.read_only || facts.intent->size_bytes != facts.identity.size_bytes) return {Action::keep, {}};
    if (!facts.emptiness) return {Action::examine, {}};
    switch (facts.emptiness->outcome) {
    case Emptiness::Outcome::empty: return {Action::finish, {}};
    case Emptiness::Outcome::foreign: return {Action::clear_intent, {}};
    case Emptiness::Outcome::unreadable: break;
    }
    return {Action::keep, {}};
}

Verdict decide_examined(const DiskFacts &facts, const Emptiness &emptiness) {
    switch (emptiness.outcome) {
    case Emptiness::Outcome::empty: return {facts.intent ? Action::finish : Action::format, {}};
    case Emptiness::Outcome::unreadable: return unreadable(std::format("byte {}", emptiness.offset), emptiness.code);
    case Emptiness::Outcome::foreign: break;
    }
    if (facts.intent)
        return refuse(std::format("an earlier format was interrupted, but byte {} is not from that format; {}", emptiness.offset,
                                  give_up_hint));
    if (!facts.remains.empty())
        return refuse(std::format("it is not empty: {}; byte {} is the first that is not zero; {}", facts.remains,
                                  emptiness.offset, give_up_hint));
    return refuse(std::format("it is not empty, though nothing known is on it: byte {} is the first that is not zero; {}",
                              emptiness.offset, give_up_hint));
}

}  // namespace

Verdict decide(const DiskFacts &facts) {
    const uint64_t size = facts.identity.size_bytes;
    if (size == 0) return refuse("it has 0 bytes; no medium or no backing file is behind it");
    using Outcome = mounts::Signature::Outcome;
    const mounts::Signature &found = facts.signature;
    const bool of_our_kind = facts.intent && found.type == "ext4" && found.partition_table.empty();
    switch (found.outcome) {
    case Outcome::unreadable: return unreadable("it", found.code);
    case Outcome::ambivalent:
        return refuse(std::format(
            "it holds signatures of several things at once (wipefs shows which); remove the wrong one, or {}", give_up_hint));
    case Outcome::found:
        if (of_our_kind && !found.bad_checksum && found.uuid == facts.intent->uuid) return decide_intended(facts);
        if (!of_our_kind || !found.bad_checksum) return decide_found(facts);
        break;  // a torn superblock
    case Outcome::nothing: break;
    }
    if (size < smallest_disk_bytes)
        return refuse(std::format("{} are too small for a root file system; the minimum is {}", mounts::size_text(size),
                                  mounts::size_text(smallest_disk_bytes)));
    if (facts.read_only) return refuse("it is read-only, and no file system is known to be on it");
    if (facts.intent && facts.intent->size_bytes != size)
        return refuse(std::format("an earlier format was interrupted when it had {}, and now it has {}; {}",
                                  mounts::size_text(facts.intent->size_bytes), mounts::size_text(size), give_up_hint));
    if (!facts.emptiness) return {Action::examine, {}};
    return decide_examined(facts, *facts.emptiness);
}

}  // namespace stage1
