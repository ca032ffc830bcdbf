// A file on a faulty disk: a FUSE file system with one file that returns EIO where it is told to, and records every write and
// flush in order. Under a loop device it simulates a bad disk, and a power cut after any write.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace support {

struct RecordedWrite {
    bool flush = false;  // if set, the other fields are empty
    uint64_t offset = 0;
    std::string data;
};

class FaultyFile {
  public:
    // Mounts on the empty directory `mount_point`. Writes go to the file `backing`, whose size it has.
    FaultyFile(const std::string &backing, const std::string &mount_point);
    FaultyFile(const FaultyFile &) = delete;
    FaultyFile &operator=(const FaultyFile &) = delete;
    ~FaultyFile();

    [[nodiscard]] std::string path() const;
    // From now on a read or write that touches the 512 bytes at `offset` fails; nullopt: none fails.
    void fail_reads(std::optional<uint64_t> offset);
    void fail_writes(std::optional<uint64_t> offset);
    [[nodiscard]] std::vector<RecordedWrite> record() const;

    struct State;

  private:
    std::unique_ptr<State> state_;
};

// Applies a power cut in the middle of write or flush number `cut` to `image`, which is in the state before the record began.
// Everything up to the previous flush is on the disk, and an arbitrary set of the sectors written after it. A sector is written
// entirely or not at all.
void replay_cut(const std::vector<RecordedWrite> &record, size_t cut, const std::string &image, std::mt19937 &random,
                size_t sector_bytes = 512);

}  // namespace support
