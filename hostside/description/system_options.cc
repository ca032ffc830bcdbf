#include "hostside/description/option.h"
#include "hostside/description/shorthand.h"

namespace hostside {

using M = Machine;

Subject system_options() {
    Option system = text("toplevel", &M::toplevel, "DIR",
                         "a NixOS system, or a link to one: its kernel, kernel-modules, kernel-params and init are used");
    Option registered = texts("pathsInNixDB", &M::paths_in_nix_db, "PATH",
                              "store paths of the host whose closure the guest's Nix database knows, besides the system's own");
    registered.also = "additionalPaths";
    Option parameters = texts("kernelParams", &M::kernel_params, "TEXT", "more kernel parameters");
    parameters.flags = "--append";
    Option modules =
        texts("extraModules", &M::extra_modules, "NAME", "more kernel modules for the initrd, which the guest loads");
    modules.flags = "--module";
    Option registration = text(
        "regInfo", &M::reginfo, "PATH",
        "path in the guest of the closure's registration; empty: the initrd that runvm makes has it from the database beside "
        "the store, if there is one");
    registration.flags = "--reginfo";
    Option credentials =
        objects("credentials", "secrets that the guest's systemd has by name, a list or an object by name",
                {required(text("name", nullptr, "NAME", "how units of the guest ask for it")),
                 required(text("source", nullptr, "FILE", "the file with its content, read when the machine starts"))});
    credentials.named_by = "name";
    credentials.shorthand = credential_from;
    credentials.shorthand_form = "NAME=FILE";
    Option shell = text("debugShell", &M::debug_shell, "FILE",
                        "a static busybox that the initrd has as its shell, for breakpoints, for when stage 1 fails, and for "
                        "`runvm console --debug`; auto: the first that this host has");
    shell.flag_alone = "auto";
    Option firmware = text("firmware", &M::efi_firmware, "FILE",
                           "the program; empty: what the descriptions in /usr/share/qemu/firmware and its like name first");
    firmware.flag = "--efi-firmware";
    Option variables =
        text("variables", &M::efi_variables, "FILE", "what the variables of a machine are that has none yet; goes with firmware");
    variables.flag = "--efi-variables";
    Option keep =
        boolean("keepVariables", &M::keep_efi_variables, true, "with a boot disk that is made, they are what its making left");
    keep.flag = "--efi-keep-variables";
    Option own = text("ownVariables", &M::efi_own_variables, "FILE",
                      "the machine's variables, made when absent; ./NAME-efi-vars.fd unless given");
    own.flag = "--efi-own-variables";
    Option efi =
        group("efi", "files of EFI firmware", {std::move(firmware), std::move(variables), std::move(keep), std::move(own)});
    Option use_efi =
        boolean("useEFIBoot", &M::use_efi_boot, false, "EFI firmware (OVMF) instead of SeaBIOS, with a boot loader or without");
    use_efi.flag = "--use-efi-boot";
    return {
        "System",
        {with_default("\"nixos\"", text("name", &M::name, "NAME", "the machine's name")),
         std::move(system),
         with_default("\"/nix/store\"",
                      text("store", &M::store, "DIR", "the directory that the guest has as its /nix/store, read-only")),
         choice("storeKind", &M::store_kind, {"auto", "9p", "erofs", "virtiofs"}, "\"auto\"",
                "how the guest gets it: shared over 9p or virtiofs, or as a disk, an erofs image that is made of the closure "
                "once; auto: such an image, if one was made, else 9p"),
         choice("storeView", &M::store_view, {"auto", "closure", "all"}, "\"auto\"",
                "what of it the guest sees: the closure of the system and of pathsInNixDB, or all; auto: the closure, where that "
                "is known and this host lets us"),
         choice("storeCompression", &M::store_compression, {"none", "lz4", "lz4hc"}, "\"none\"",
                "of the erofs image: none is fastest to make and to read, lz4hc smallest"),
         boolean("writableStore", &M::writable_store, true, "a union over the store, so that the guest can add to it"),
         boolean("writableStoreUseTmpfs", &M::writable_store_use_tmpfs, true,
                 "what is added lives in memory, not on the root disk"),
         std::move(registered),
         std::move(registration),
         text("init", &M::init, "PATH", "path of stage 2 in the guest instead of TOPLEVEL/init"),
         choice(
             "fstab", &M::fstab, {"auto", "yes", "no"}, "\"auto\"",
             "whether systemd in stage 2 mounts what the system's etc/fstab names; auto: not when that names devices that this "
             "machine has not, as a computer's /boot"),
         text("kernel", &M::kernel, "FILE", "the kernel instead of TOPLEVEL/kernel"),
         text("modules", &M::modules, "DIR", "the modules' directory instead of TOPLEVEL/kernel-modules"),
         text("initrd", &M::initrd, "FILE", "an initrd instead of the one that is built"),
         text("stage1", &M::stage1, "FILE", "the stage1 program; empty: beside runvm"),
         std::move(parameters),
         std::move(modules),
         std::move(credentials),
         std::move(shell),
         boolean("moduleTracing", &M::module_tracing, false,
                 "the initrd's modules keep what only ftrace, BPF's fentry, live patches and exact stack traces need; they load "
                 "seven times slower"),
         boolean("useBootLoader", &M::use_boot_loader, false,
                 "boot from bootDisk, with the firmware's boot menu, instead of a kernel"),
         text(
             "bootDisk", &M::boot_disk, "FILE",
             "the boot loader's disk image, which is only read; of a toplevel it is made when absent, and made anew when what it "
             "was made of has changed; ./NAME-boot.qcow2 unless given"),
         choice("bootDiskFormat", &M::boot_disk_format, {"qcow2", "raw"}, "\"qcow2\"", "of that image, which is not guessed"),
         integer("bootDiskSize", &M::boot_disk_mib, {8, 64 << 10}, "512", "MIB", "of a boot disk that is made, in MiB"),
         boolean("installBootLoader", &M::install_boot_loader, true,
                 "the system installs its boot loader on a boot disk that is made, as switch-to-configuration boot does"),
         text("bios", &M::bios, "FILE", "firmware instead of QEMU's own"),
         std::move(use_efi),
         boolean("useSecureBoot", &M::use_secure_boot, false,
                 "EFI firmware that has Microsoft's keys and boots only what is signed; the machine is then a q35"),
         std::move(efi),
         boolean("useNixStoreImage", &M::use_nix_store_image, false, "NixOS's word for storeKind erofs")}};
}

}  // namespace hostside
