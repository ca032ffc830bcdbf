// A file whose disk misbehaves: a FUSE file system with one file that answers EIO where it is told to, and keeps a record
// of every write and flush in their order. Beneath a loop device that makes a bad disk, and a power cut after any write.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
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
    // Mounted on the empty folder `mount_point`; what is written lands in the file `backing`, whose size it has.
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

}  // namespace support
