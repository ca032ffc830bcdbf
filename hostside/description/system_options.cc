#include "hostside/description/option.h"
#include "hostside/description/shorthand.h"

namespace hostside {

using M = Machine;

Subject system_options() {
    Option system = text("toplevel", &M::toplevel, "DIR",
                         "a NixOS system, or a link to one; runvm uses its kernel, kernel-modules, kernel-params and init");
    Option registered =
        texts("pathsInNixDB", &M::paths_in_nix_db, "PATH",
              "store paths of the host; the guest's Nix database lists their closure in addition to the system's");
    registered.also = "additionalPaths";
    Option parameters = texts("kernelParams", &M::kernel_params, "TEXT", "additional kernel parameters");
    parameters.flags = "--append";
    Option modules =
        texts("extraModules", &M::extra_modules, "NAME", "additional kernel modules in the initrd, which the guest loads");
    modules.flags = "--module";
    Option registration = text("regInfo", &M::reginfo, "PATH",
                               "the guest's path of the closure's registration; empty: runvm's initrd has it from the database "
                               "beside the store, if there is one");
    registration.flags = "--reginfo";
    Option credentials =
        objects("credentials", "secrets for the guest's systemd; a list, or an object by name",
                {required(text("name", nullptr, "NAME", "the name by which the guest's units ask for it")),
                 required(text("source", nullptr, "FILE", "the file with the secret, read when the machine starts"))});
    credentials.named_by = "name";
    credentials.shorthand = credential_from;
    credentials.shorthand_form = "NAME=FILE";
    Option shell = text("debugShell", &M::debug_shell, "FILE",
                        "a static busybox as the initrd's shell: at breakpoints, when stage 1 fails, and for `runvm console "
                        "--debug`; auto: the first one found on this host");
    shell.flag_alone = "auto";
    Option firmware = text("firmware", &M::efi_firmware, "FILE",
                           "the firmware's code; empty: the first file that the descriptions in /usr/share/qemu/firmware and "
                           "similar directories name");
    firmware.flag = "--efi-firmware";
    Option variables = text("variables", &M::efi_variables, "FILE",
                            "the initial variables of a machine that has none yet; must be given together with firmware");
    variables.flag = "--efi-variables";
    Option keep = boolean("keepVariables", &M::keep_efi_variables, true,
                          "if runvm makes the boot disk, the machine keeps the variables that were set then");
    keep.flag = "--efi-keep-variables";
    Option own = text("ownVariables", &M::efi_own_variables, "FILE",
                      "the machine's variables, created if they do not exist; default: ./NAME-efi-vars.fd");
    own.flag = "--efi-own-variables";
    Option efi = group("efi", "the files of the EFI firmware",
                       {std::move(firmware), std::move(variables), std::move(keep), std::move(own)});
    Option use_efi =
        boolean("useEFIBoot", &M::use_efi_boot, false, "EFI firmware (OVMF) instead of SeaBIOS, with or without a boot loader");
    use_efi.flag = "--use-efi-boot";
    return {
        "System",
        {with_default("\"nixos\"", text("name", &M::name, "NAME", "the machine's name")),
         std::move(system),
         with_default("\"/nix/store\"",
                      text("store", &M::store, "DIR", "the directory that the guest sees as /nix/store, read-only")),
         choice("storeKind", &M::store_kind, {"auto", "9p", "erofs", "virtiofs"}, "\"auto\"",
                "how the guest gets the store: over 9p or virtiofs, or as a disk with an erofs image of the closure, which is "
                "made once; auto: an image from the closure's second start on, else 9p"),
         choice("storeView", &M::store_view, {"auto", "closure", "all"}, "\"auto\"",
                "which part of the store the guest sees: the closure of the system and of pathsInNixDB, or all; auto: the "
                "closure, if it is known and this host allows it"),
         choice("storeCompression", &M::store_compression, {"none", "lz4", "lz4hc"}, "\"none\"",
                "compression of the erofs image: none is the fastest to make and read, lz4hc is the smallest"),
         boolean("writableStore", &M::writable_store, true, "lets the guest add to its store, which becomes a union"),
         boolean("writableStoreUseTmpfs", &M::writable_store_use_tmpfs, true,
                 "keeps what the guest adds to its store in memory, not on the root disk"),
         std::move(registered),
         std::move(registration),
         text("init", &M::init, "PATH", "the guest's path of stage 2, instead of TOPLEVEL/init"),
         choice("fstab", &M::fstab, {"auto", "yes", "no"}, "\"auto\"",
                "whether systemd in stage 2 mounts the entries of the system's etc/fstab; auto: not if they name devices that "
                "this machine lacks, such as a computer's /boot"),
         text("kernel", &M::kernel, "FILE", "the kernel, instead of TOPLEVEL/kernel"),
         text("modules", &M::modules, "DIR", "the directory of kernel modules, instead of TOPLEVEL/kernel-modules"),
         text("initrd", &M::initrd, "FILE", "an initrd, instead of the one that runvm makes"),
         text("stage1", &M::stage1, "FILE", "the stage1 program; empty: the one beside runvm"),
         std::move(parameters),
         std::move(modules),
         std::move(credentials),
         std::move(shell),
         boolean("moduleTracing", &M::module_tracing, false,
                 "keeps parts of the initrd's modules that only ftrace, BPF's fentry, live patches and exact stack traces need; "
                 "loading takes seven times as long"),
         boolean("useBootLoader", &M::use_boot_loader, false,
                 "boots from bootDisk, with the firmware's boot menu, instead of directly from a kernel"),
         text("bootDisk", &M::boot_disk, "FILE",
              "the boot loader's disk image, used read-only; with a toplevel, it is made if it does not exist and remade if its "
              "sources have changed; default: ./NAME-boot.qcow2"),
         choice("bootDiskFormat", &M::boot_disk_format, {"qcow2", "raw"}, "\"qcow2\"",
                "the boot disk's format, which is not guessed"),
         integer("bootDiskSize", &M::boot_disk_mib, {8, 64 << 10}, "512", "MIB", "size of a boot disk that runvm makes, in MiB"),
         boolean("installBootLoader", &M::install_boot_loader, true,
                 "lets the system install its boot loader on a boot disk that runvm makes, as switch-to-configuration boot does"),
         text("bios", &M::bios, "FILE", "firmware that replaces QEMU's own"),
         std::move(use_efi),
         boolean("useSecureBoot", &M::use_secure_boot, false,
                 "EFI firmware that has Microsoft's keys and boots only signed programs; the machine is then a q35"),
         std::move(efi),
         boolean("useNixStoreImage", &M::use_nix_store_image, false, "NixOS's name for storeKind erofs")}};
}

}  // namespace hostside
