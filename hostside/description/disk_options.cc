#include "hostside/description/option.h"
#include "hostside/description/shorthand.h"

namespace hostside {

using M = Machine;

Subject disk_options() {
    Option drives = objects("drives", "more disks",
                            {required(text("file", nullptr, "FILE", "the image")),
                             text("serial", nullptr, "NAME", "name of the disk in the guest, 20 bytes at most"),
                             choice("format", nullptr, {"qcow2", "raw"}, "\"qcow2\"", "of the image"),
                             boolean("readOnly", nullptr, false, "the guest can't write")});
    drives.shorthand = drive_from;
    drives.shorthand_form = "FILE";
    Option backing = texts("backingFiles", &M::backing_files, "FILE",
                           "files that an image may lie over, whichever; what an image names itself is refused");
    backing.flag = "--backing-file";
    return {"Disks",
            {text("diskImage", &M::disk_image, "FILE",
                  "the root disk, created when absent; ./NAME.qcow2 (or .raw) unless given; empty or null: a root on tmpfs"),
             choice("diskImageFormat", &M::disk_image_format, {"qcow2", "raw"}, "\"qcow2\"",
                    "of that image, which is not guessed; raw also for a block device"),
             integer("diskSize", &M::disk_mib, {16, 64 << 20}, "1024", "MIB",
                     "of a root disk that is created, in MiB; an image that is smaller than what is said grows to it"),
             boolean("ephemeral", &M::ephemeral, false, "nothing that the guest writes survives the run"),
             text("rootDevice", &M::root_device, "DEVICE",
                  "the guest's root: a path below /dev, LABEL=, UUID=, serial=; empty: the root disk"),
             integers("emptyDiskImages", &M::empty_disks_mib, {1, 64 << 20}, "MIB",
                      "sizes in MiB of more, empty disks, new in every run"),
             std::move(drives), std::move(backing)}};
}

}  // namespace hostside
