// A file whose disk misbehaves: a FUSE file system with one file that answers EIO where it is told to, and keeps a record
// of every write and flush in their order. Beneath a loop device that makes a bad disk, and a power cut after any write.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace support {

struct RecordedWrite {
    bool flush = false;  // then the rest is empty
    uint64_t offset = 0;
    std::string data;
};

class FaultyFile {
  public:
    // Mounted on the empty directory `mount_point`; what is written lands in the file `backing`, whose size it has.
    FaultyFile(const std::string &backing, const std::string &mount_point);
    FaultyFile(const FaultyFile &) = delete;
    FaultyFile &operator=(const FaultyFile &) = delete;
    ~FaultyFile();

    [[nodiscard]] std::string path() const;
    // A read or write that touches the 512 bytes at `offset` fails from now on; absent: none does.
    void fail_reads(std::optional<uint64_t> offset);
    void fail_writes(std::optional<uint64_t> offset);
    [[nodiscard]] std::vector<RecordedWrite> record() const;

    struct State;

  private:
    std::unique_ptr<State> state_;
};

// Onto `image`, as it was before the record began, what a power cut in the middle of its write or flush number `cut` leaves:
// all up to the flush before, and of what came after it whatever sectors the disk got to; it writes a sector whole or not
// at all.
void replay_cut(const std::vector<RecordedWrite> &record, size_t cut, const std::string &image, std::mt19937 &random,
                size_t sector_bytes = 512);

}  // namespace support
