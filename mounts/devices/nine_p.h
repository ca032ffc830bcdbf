// 9p over virtio, as the guest sees it: which mount tags the host offers, and how large a message may be.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mounts {

// Whether the kernel has, or has loaded, the driver that knows tags.
bool has_nine_p_driver(const std::string &sysfs = "/sys");

// The tags that the host offers, sorted, read from sysfs (drivers/9pnet_virtio/virtio*/mount_tag). Empty also when the
// driver is not loaded.
std::vector<std::string> offered_tags(const std::string &sysfs = "/sys");

// Bytes a 9p message may carry. virtio takes 128 pages less 3 (net/9p/trans_virtio.c), and the kernel lowers a larger
// wish in silence. Every mount keeps a few such buffers, so a guest of little memory gets 128 KiB, the kernel's default.
uint32_t choose_msize_bytes(uint64_t memory_bytes);

}  // namespace mounts
