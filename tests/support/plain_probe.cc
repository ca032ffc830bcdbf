#include "tests/support/plain_probe.h"

#include <blkid/blkid.h>

#include <cerrno>
#include <memory>

namespace support {

mounts::Signature plain_probe(int fd) {
    using Outcome = mounts::Signature::Outcome;
    const std::unique_ptr<blkid_struct_probe, decltype(&::blkid_free_probe)> probe(::blkid_new_probe(), &::blkid_free_probe);
    mounts::Signature signature{.outcome = Outcome::unreadable};
    if (!probe || ::blkid_probe_set_device(probe.get(), fd, 0, 0) != 0) return signature;
    ::blkid_probe_enable_superblocks(probe.get(), 1);
    ::blkid_probe_set_superblocks_flags(
        probe.get(), BLKID_SUBLKS_TYPE | BLKID_SUBLKS_USAGE | BLKID_SUBLKS_UUID | BLKID_SUBLKS_LABEL | BLKID_SUBLKS_BADCSUM);
    ::blkid_probe_enable_partitions(probe.get(), 1);
    errno = 0;
    const int result = ::blkid_do_safeprobe(probe.get());
    signature.outcome = result == 0                                    ? Outcome::found
                        : result == 1                                  ? Outcome::nothing
                        : result == -2 || (result == -1 && errno == 0) ? Outcome::ambivalent
                                                                       : Outcome::unreadable;
    if (signature.outcome != Outcome::found) return signature;
    const auto value = [&](const char *name) {
        const char *data = nullptr;
        return ::blkid_probe_lookup_value(probe.get(), name, &data, nullptr) == 0 ? std::string(data) : std::string();
    };
    signature.type = value("TYPE");
    signature.usage = value("USAGE");
    signature.uuid = value("UUID");
    signature.label = value("LABEL");
    signature.partition_table = value("PTTYPE");
    signature.bad_checksum = !value("SBBADCSUM").empty();
    return signature;
}

}  // namespace support
