#include "unionfs/recovery/shared_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include "mounts/base/fd.h"

namespace unionfs {

SharedMemory::~SharedMemory() {
    if (start_ != nullptr) ::munmap(start_, bytes);
}

base::Result<> SharedMemory::make() {
    const base::Fd file(::memfd_create("unionfs", MFD_CLOEXEC));  // memory is charged page by page, when written
    if (!file || ::ftruncate(file.get(), bytes) < 0)
        return base::fail(errno, "shared memory", "memfd", errno == EFBIG ? "needs a file of 16 GiB; see ulimit -f" : "");
    void *start = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    if (start == MAP_FAILED) return base::fail(errno, "shared memory", "mmap", "needs 16 GiB of address space; see ulimit -v");
    start_ = static_cast<std::byte *>(start);
    return {};
}

ItemPool::ItemPool(std::byte *begin, size_t stretch, size_t item_bytes)
    : begin_(begin), stretch_(stretch), item_bytes_(item_bytes), per_chunk_(chunk_bytes / item_bytes) {}

void ItemPool::list(size_t chunk) {
    if (chunks_[chunk].listed) return;
    chunks_[chunk].listed = true;
    with_room_.push_back(static_cast<uint32_t>(chunk));
}

void *ItemPool::take() {
    if (with_room_.empty()) {
        if ((chunks_.size() + 1) * chunk_bytes > stretch_) throw std::bad_alloc();
        // list() must not allocate, because it is called when something is freed.
        if (with_room_.capacity() <= chunks_.size()) with_room_.reserve(chunks_.size() * 2 + 16);
        chunks_.emplace_back();
        list(chunks_.size() - 1);
    }
    const size_t at = with_room_.back();
    Chunk &chunk = chunks_[at];
    std::byte *item = nullptr;
    if (chunk.used == 0 && chunk.touched != 0) --empty_;
    if (chunk.free_item != none) {
        item = item_at(at, chunk.free_item);
        std::memcpy(&chunk.free_item, item, sizeof chunk.free_item);
    } else {
        item = item_at(at, chunk.touched++);
    }
    if (++chunk.used == per_chunk_) {
        chunk.listed = false;
        with_room_.pop_back();
    }
    return item;
}

void ItemPool::give(void *item) {
    const auto offset = static_cast<size_t>(static_cast<std::byte *>(item) - begin_);
    const size_t at = offset / chunk_bytes;
    Chunk &chunk = chunks_[at];
    std::memcpy(item, &chunk.free_item, sizeof chunk.free_item);
    chunk.free_item = static_cast<uint16_t>(offset % chunk_bytes / item_bytes_);
    list(at);
    if (--chunk.used != 0) return;
    if (empty_ < kept_chunks) {
        ++empty_;
        return;
    }
    (void)::madvise(begin_ + at * chunk_bytes, chunk_bytes, MADV_REMOVE);  // if that fails, the memory stays
    chunk.free_item = none;
    chunk.touched = 0;
}

void ItemPool::claim(void *item) { claims_.push_back(item); }

void ItemPool::claimed() {
    std::ranges::sort(claims_);
    for (void *item : claims_) {
        const auto offset = static_cast<size_t>(static_cast<std::byte *>(item) - begin_);
        const size_t at = offset / chunk_bytes;
        const auto index = static_cast<uint16_t>(offset % chunk_bytes / item_bytes_);
        if (at >= chunks_.size()) chunks_.resize(at + 1);
        Chunk &chunk = chunks_[at];
        for (; chunk.touched < index; ++chunk.touched) {
            std::memcpy(item_at(at, chunk.touched), &chunk.free_item, sizeof chunk.free_item);
            chunk.free_item = chunk.touched;
        }
        ++chunk.touched;
        ++chunk.used;
    }
    claims_ = {};
    for (size_t at = 0; at < chunks_.size(); ++at)
        if (chunks_[at].used < per_chunk_) list(at);
}

}  // namespace unionfs
