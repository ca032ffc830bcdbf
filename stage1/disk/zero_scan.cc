#include "stage1/disk/zero_scan.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <utility>

#include "mounts/base/direct_reads.h"
#include "stage1/disk/backup_signatures.h"
#include "stage1/disk/intent.h"

namespace stage1 {

namespace {

constexpr uint64_t alignment = 4096;       // for O_DIRECT: a multiple of every logical sector size
constexpr uint64_t piece_bytes = 1 << 20;  // per read
constexpr uint64_t smallest_sector = 512;  // the unit that a power cut leaves either written or not

// Uses the compiler's vector types: reading a whole disk spends its time in this loop, and this file is optimized for size.
bool is_zero(std::span<const std::byte> bytes) {
    typedef uint64_t Words __attribute__((vector_size(64), aligned(1), may_alias));
    size_t i = 0;
    for (; i + 4 * sizeof(Words) <= bytes.size(); i += 4 * sizeof(Words)) {
        const auto *words = reinterpret_cast<const Words *>(bytes.data() + i);
        const Words any = (words[0] | words[1]) | (words[2] | words[3]);
        if (((any[0] | any[1]) | (any[2] | any[3]) | (any[4] | any[5]) | (any[6] | any[7])) != 0) return false;
    }
    return std::ranges::all_of(bytes.subspan(i), [](std::byte b) { return b == std::byte{0}; });
}

// Returns 0 or an errno. A device that ends early is EIO.
int read_exactly(int fd, std::span<std::byte> buffer, uint64_t offset) {
    while (!buffer.empty()) {
        const ssize_t n = ::pread(fd, buffer.data(), buffer.size(), static_cast<off_t>(offset));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return n < 0 ? errno : EIO;
        buffer = buffer.subspan(static_cast<size_t>(n));
        offset += static_cast<uint64_t>(n);
    }
    return 0;
}

// The offset of the first byte in a sector that is neither all zeros nor equal to the image's.
std::optional<uint64_t> first_foreign(std::span<const std::byte> data, std::span<const std::byte> expected, uint64_t offset) {
    for (uint64_t at = 0; at < data.size(); at += smallest_sector) {
        const auto sector = data.subspan(at, std::min(smallest_sector, data.size() - at));
        if (is_zero(sector)) continue;
        if (!expected.empty() && (offset + at < intent_bytes || std::ranges::equal(sector, expected.subspan(at, sector.size()))))
            continue;
        const auto byte = std::ranges::find_if(sector, [](std::byte b) { return b != std::byte{0}; });
        return offset + at + static_cast<uint64_t>(byte - sector.begin());
    }
    return {};
}

// Hands out the pieces to read, in order of their offsets, until something is found. The readers share it. Each reader finishes
// its current piece, so the answer is the first finding on the disk, no matter which reader is faster.
class Search {
  public:
    explicit Search(const std::vector<Range> &ranges) : ranges_(ranges) {}

    std::optional<Range> next() {
        const std::scoped_lock lock(mutex_);
        if (found_at_ || range_ == ranges_.size()) return {};
        const Range &range = ranges_[range_];
        const Range piece{range.offset + done_bytes_, std::min(piece_bytes, range.size_bytes - done_bytes_)};
        done_bytes_ += piece.size_bytes;
        taken_bytes_ += piece.size_bytes;
        if (done_bytes_ == range.size_bytes) {
            ++range_;
            done_bytes_ = 0;
        }
        return piece;
    }
    uint64_t taken_bytes() {
        const std::scoped_lock lock(mutex_);
        return taken_bytes_;
    }
    void found(const Range &piece, base::Result<Emptiness> what) {
        const std::scoped_lock lock(mutex_);
        if (found_at_ && *found_at_ < piece.offset) return;
        found_at_ = piece.offset;
        answer_ = std::move(what);
    }
    base::Result<Emptiness> answer() && { return std::move(answer_); }

  private:
    const std::vector<Range> &ranges_;
    std::mutex mutex_;  // guards the members below
    size_t range_ = 0;
    uint64_t done_bytes_ = 0;   // of that range
    uint64_t taken_bytes_ = 0;  // of all
    std::optional<uint64_t> found_at_;
    base::Result<Emptiness> answer_ = Emptiness{};
};

// Tells in twenty steps how far a long scan is.
class Teller {
  public:
    Teller(const std::vector<Range> &ranges, const ScanProgress &progress) : progress_(progress) {
        for (const Range &range : ranges) all_bytes_ += range.size_bytes;
    }
    void tell(uint64_t taken_bytes) {
        constexpr uint64_t steps = 20;
        if (!progress_ || all_bytes_ <= long_scan_bytes) return;
        const uint64_t step = taken_bytes / (all_bytes_ / steps);
        if (std::exchange(told_, step) != step) progress_(taken_bytes, all_bytes_);
    }

  private:
    const ScanProgress &progress_;
    uint64_t all_bytes_ = 0, told_ = 0;
};

// A huge page, where the kernel has one: one page fault and one segment of a request instead of some hundred.
constexpr size_t huge_page_bytes = size_t{2} << 20;
struct alignas(huge_page_bytes) Buffers {
    std::array<std::byte, piece_bytes> first, second;
};

// One thread's reader: reads pieces and compares them.
class Reader {
  public:
    // `buffer`: piece_bytes long, for the disk's data.
    Reader(int fd, int image, std::span<std::byte> buffer) : fd_(fd), image_(image), buffer_(buffer) {
        if (image >= 0) expected_.resize(piece_bytes);
    }

    void work(Search &search, Teller *teller = nullptr) {
        while (const auto piece = search.next()) {
            if (auto what = look_at(*piece); !what || what->outcome != Emptiness::Outcome::empty)
                search.found(*piece, std::move(what));
            if (teller != nullptr) teller->tell(search.taken_bytes());
        }
    }

  private:
    base::Result<Emptiness> look_at(const Range &piece) {
        const auto data = buffer_.first(piece.size_bytes);
        if (const int code = read_exactly(fd_, data, piece.offset); code != 0)
            return Emptiness{Emptiness::Outcome::unreadable, piece.offset, code};
        if (is_zero(data)) return {};
        const auto expected = std::span(expected_).first(image_ >= 0 ? piece.size_bytes : 0);
        if (const int code = read_exactly(image_, expected, piece.offset); code != 0)
            return base::fail(code, "read", "ext4 in memory");
        if (const auto foreign = first_foreign(data, expected, piece.offset))
            return Emptiness{Emptiness::Outcome::foreign, *foreign, 0};
        return {};
    }

    int fd_, image_;
    std::span<std::byte> buffer_;
    std::vector<std::byte> expected_;
};

}  // namespace

std::vector<Range> ranges_to_read(uint64_t size, bool vouched) {
    constexpr uint64_t ends = uint64_t{1} << 20;
    constexpr uint64_t around_a_backup = 16384;
    if (!vouched || size <= 2 * ends) return {{0, size}};
    std::vector<Range> wanted{{0, ends}, {(size - ends) / alignment * alignment, 0}};
    for (const BackupPlace &place : backup_places(size))
        wanted.push_back({place.offset / alignment * alignment, around_a_backup});
    for (Range &range : wanted)
        if (range.size_bytes == 0 || range.offset + range.size_bytes > size) range.size_bytes = size - range.offset;
    std::ranges::sort(wanted, {}, &Range::offset);
    std::vector<Range> merged;
    for (const Range &range : wanted) {
        if (merged.empty() || range.offset > merged.back().offset + merged.back().size_bytes) {
            merged.push_back(range);
        } else {
            Range &last = merged.back();
            last.size_bytes = std::max(last.offset + last.size_bytes, range.offset + range.size_bytes) - last.offset;
        }
    }
    return merged;
}

base::Result<Emptiness> examine(int fd, const std::vector<Range> &ranges, int image, const ScanProgress &progress) {
    const base::DirectReads direct(fd);
    Search search(ranges);
    const auto buffers = std::make_unique_for_overwrite<Buffers>();
    (void)::madvise(buffers.get(), sizeof *buffers, MADV_HUGEPAGE);  // slower without
    Reader first(fd, image, buffers->first), second(fd, image, buffers->second);
    // While one thread compares, the device serves the other's request.
    std::thread helper([&] { second.work(search); });
    Teller teller(ranges, progress);
    first.work(search, &teller);
    helper.join();
    return std::move(search).answer();
}

}  // namespace stage1
