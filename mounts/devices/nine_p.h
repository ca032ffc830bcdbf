// 9p over virtio from the guest's side: the mount tags that the host offers, and the size of a message.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mounts {

// Whether the kernel has the driver for 9p tags, built in or loaded.
bool has_nine_p_driver(const std::string &sysfs = "/sys");

// The tags that the host offers, sorted, from sysfs (drivers/9pnet_virtio/virtio*/mount_tag). Also empty if the driver is not
// loaded.
std::vector<std::string> offered_tags(const std::string &sysfs = "/sys");

// The number of bytes in a 9p message. virtio allows 128 pages minus 3 (net/9p/trans_virtio.c), and the kernel silently lowers
// a larger msize. Every mount keeps a few such buffers, so a guest with little memory gets 128 KiB, the kernel's default.
uint32_t choose_msize_bytes(uint64_t memory_bytes);

}  // namespace mounts
