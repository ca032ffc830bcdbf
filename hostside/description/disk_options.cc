#include "hostside/description/option.h"
#include "hostside/description/shorthand.h"

namespace hostside {

using M = Machine;

Subject disk_options() {
    Option drives = objects("drives", "additional disks",
                            {required(text("file", nullptr, "FILE", "the image")),
                             text("serial", nullptr, "NAME", "the disk's name in the guest, at most 20 bytes"),
                             choice("format", nullptr, {"qcow2", "raw"}, "\"qcow2\"", "the image's format"),
                             boolean("readOnly", nullptr, false, "the guest cannot write to it")});
    drives.shorthand = drive_from;
    drives.shorthand_form = "FILE";
    Option backing =
        texts("backingFiles", &M::backing_files, "FILE", "files that images may use as backing files; all others are refused");
    backing.flag = "--backing-file";
    return {"Disks",
            {text("diskImage", &M::disk_image, "FILE",
                  "the root disk, created if it does not exist; default: ./NAME.qcow2 (or .raw); empty or null: a root on tmpfs"),
             choice("diskImageFormat", &M::disk_image_format, {"qcow2", "raw"}, "\"qcow2\"",
                    "the root disk's format, which is not guessed; use raw for a block device"),
             integer("diskSize", &M::disk_mib, {16, 64 << 20}, "1024", "MIB",
                     "size of a new root disk, in MiB; if it is set, a smaller existing image grows to it"),
             boolean("ephemeral", &M::ephemeral, false, "discards what the guest writes to its root disk and EFI variables"),
             text("rootDevice", &M::root_device, "DEVICE",
                  "the guest's root: a path below /dev, LABEL=, UUID= or serial=; empty: the root disk"),
             integers("emptyDiskImages", &M::empty_disks_mib, {1, 64 << 20}, "MIB",
                      "sizes in MiB of additional empty disks, which are new in every run"),
             std::move(drives), std::move(backing)}};
}

}  // namespace hostside
