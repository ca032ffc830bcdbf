#include "stage1/base/initrd.h"

#include <unistd.h>

#include <format>

#include "mounts/devices/mount_file_system.h"

namespace stage1 {

namespace {

// systemd's initrds have this file. A scripted initrd has a root that the kernel made, which is hidden once another root is
// mounted over it. A root on a tmpfs belongs to a running machine.
bool in_initrd() {
    if (::access("/etc/initrd-release", F_OK) == 0) return true;
    const std::string root = mounts::mounted_type("/");
    return root == "rootfs" || root == "ramfs";
}

}  // namespace

base::Result<> refuse_outside_initrd(std::string_view command, std::string_view instead) {
    if (in_initrd()) return {};
    return base::fail(
        0, command, "",
        std::format("this is not an initrd, and the kernel's command line names devices that are in use; {}", instead));
}

}  // namespace stage1
