#include "hostside/launch/boot_disk.h"

#include <format>

#include "hostside/base/cache.h"
#include "hostside/base/exists.h"
#include "hostside/host/root_disk.h"
#include "hostside/launch/boot_facts.h"
#include "hostside/launch/facts.h"
#include "hostside/store/store.h"
#include "mounts/protocol.h"

namespace hostside {

namespace {

using base::Result;
namespace protocol = mounts::protocol;

// Must be readable by a boot loader, so it avoids the newer default features of e2fsprogs, whatever the guest's mke2fs.
constexpr std::string_view format_bios = R"sh(printf '%s\n' 'label: dos' 'start=2048, type=83, bootable' | sfdisk -q "$disk"
cat >/tmp/mke2fs.conf <<END
[defaults]
    base_features = sparse_super,large_file,filetype,resize_inode,dir_index,ext_attr
[fs_types]
    ext4 = {
        features = has_journal,extent,huge_file,flex_bg,dir_nlink,extra_isize
    }
    small = {
        inode_ratio = 4096
    }
END
MKE2FS_CONFIG=/tmp/mke2fs.conf mke2fs -q -F -t ext4 -L LABEL "$part"
tune2fs -c 0 -i 0 "$part" >/dev/null
mount -t ext4 "$part" /boot
mkdir /boot/grub
echo "(hd0) $disk" >/boot/grub/device.map
)sh";

constexpr std::string_view format_efi =
    R"sh(printf '%s\n' 'label: gpt' 'start=2048, type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B' | sfdisk -q "$disk"
mkfs.vfat -n LABEL "$part" >/dev/null
mount -t vfat "$part" /boot
[ ! -d /sys/firmware/efi/efivars ] || mount -t efivarfs efivarfs /sys/firmware/efi/efivars
)sh";

// As in the 2013 module and nixpkgs' make-disk-image: what an installer expects of a NixOS. That of systemd-boot writes entries
// only for the generations of the profile, and bootctl needs the os-release.
constexpr std::string_view before = R"sh(set -eu
disk=/dev/vda part=/dev/vda1 system=$1 initrd=$2
mkdir -p /boot /etc /run /tmp /nix/var/nix/profiles
: >/etc/NIXOS
ln -sfn "$system" /nix/var/nix/profiles/system-1-link
ln -sfn system-1-link /nix/var/nix/profiles/system
[ ! -e "$system/etc/os-release" ] || ln -sfn "$system/etc/os-release" /etc/os-release
# There is no udev; these are what NixOS calls the disk that it installs on.
mkdir -p /dev/disk/by-id
for name in virtio-root virtio-boot; do ln -sfn ../../vda /dev/disk/by-id/$name; done
[ -e /etc/mtab ] || ln -s /proc/self/mounts /etc/mtab
)sh";

// The boot loader starts the initrd that the machine would boot, not the system's own.
constexpr std::string_view install = R"sh(own=$(readlink -f "$system/initrd")
mount --bind "$initrd" "$own"
status=0
NIXOS_INSTALL_BOOTLOADER=1 LOCALE_ARCHIVE= "$system/bin/switch-to-configuration" boot >&2 || status=$?
umount "$own"
sync
[ $status = 0 ] || [ "$(stat -f -c %a /boot)" -gt 64 ] || exit FULL
[ $status = 0 ] || exit $status
)sh";
constexpr std::string_view after = "umount /boot\n";

std::string replaced(std::string_view text, std::string_view word, std::string_view by) {
    std::string result(text);
    for (size_t at = 0; (at = result.find(word, at)) != std::string::npos; at += by.size()) result.replace(at, word.size(), by);
    return result;
}

std::string script_for(const Machine &m) {
    std::string script = std::string(before) + replaced(m.use_efi_boot ? format_efi : format_bios, "LABEL", boot_label_of(m));
    if (m.install_boot_loader) script += replaced(install, "FULL", std::to_string(boot_disk_full));
    return script + std::string(after);
}

// Has nothing that the machine has besides its disk, and runs a command instead of stage 2.
Machine maker_of(const Machine &m, const std::string &image) {
    Machine maker;
    maker.name = m.name + "-boot-disk";
    for (const auto text :
         {&Machine::store, &Machine::toplevel, &Machine::kernel, &Machine::modules, &Machine::stage1, &Machine::store_view,
          &Machine::run_as, &Machine::cpu, &Machine::accelerator, &Machine::machine_type, &Machine::qemu})
        maker.*text = m.*text;
    maker.store_kind = maker.share_kind = "9p";
    maker.store_compression = "none";
    maker.fstab = "no";
    maker.disk_interface = "virtio";
    maker.writable_store = false;
    maker.reginfo = "/dev/null";
    maker.kernel_params = {std::format("{}=only", protocol::agent_parameter)};
    maker.memory_mib = m.memory_mib;
    maker.cores = m.cores;
    maker.sandbox = m.sandbox;
    maker.extra_modules = {"ext4"};
    if (m.use_efi_boot) {
        // Without keys, because nobody signed the kernel for the firmware.
        maker.use_efi_boot = true;
        maker.efi_firmware = m.use_secure_boot ? "" : m.efi_firmware;
        maker.efi_variables = m.use_secure_boot ? "" : m.efi_variables;
        maker.efi_own_variables = made_variables_of(image);
        maker.extra_modules = {"vfat", "nls_cp437", "nls_ascii", "nls_iso8859-1", "efivarfs"};
    }
    maker.drives = {{.file = image, .serial = std::string(protocol::boot_disk_serial)}};
    return maker;
}

Result<> check_system(const Machine &m, const std::string &toplevel) {
    for (const char *file : {"/bin/switch-to-configuration", "/initrd"})
        if (m.install_boot_loader && !exists(in_store(m.store, toplevel + file)))
            return base::fail(0, "make boot disk", toplevel,
                              std::format("the system has no {}, so there is no boot loader to install; "
                                          "--install-boot-loader=false makes a disk without one",
                                          file + 1));
    return {};
}

}  // namespace

std::string_view boot_label_of(const Machine &m) { return m.use_efi_boot ? protocol::esp_label : protocol::boot_label; }

std::string made_variables_of(const std::string &boot_disk) { return boot_disk + ".efi-vars"; }

Result<BootDiskRecipe> boot_disk_recipe(const Machine &m, const std::string &image) {
    BootDiskRecipe recipe{.made_of = "", .toplevel = "", .booted = m, .maker = maker_of(m, image), .script = script_for(m)};
    auto store = plan_store(m, "", false);
    if (!store) return std::unexpected(store.error());
    recipe.booted.store_kind = store->kind;
    LaunchFacts facts;
    if (auto seen = look_at_initrd(facts, recipe.booted, {.run_directory = ""}); !seen) return std::unexpected(seen.error());
    recipe.toplevel = facts.boot.boot.system;
    if (auto installs = check_system(m, recipe.toplevel); !installs) return std::unexpected(installs.error());
    const std::string parts =
        std::format("{}\n{}\n{}\n{}", facts.boot.initrd.identity, facts.boot.registration, recipe.script, m.boot_disk_mib);
    recipe.made_of = std::format("{}\n{}\n", recipe.toplevel, short_hash(parts));
    return recipe;
}

bool is_made_boot_disk(const std::string &path) { return exists(stamp_of(path)); }

bool is_made_of(const std::string &path, const BootDiskRecipe &recipe) { return stamp_text(path) == recipe.made_of; }

}  // namespace hostside
