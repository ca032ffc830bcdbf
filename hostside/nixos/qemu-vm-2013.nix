# Replaces NixOS's qemu-vm.nix of October 2013 (modules/virtualisation/qemu-vm.nix): has its options with the same names and
# defaults, and the same settings for the guest, implemented with runvm and stage1. Needs only NixOS modules of that time.
# stage1 does the work of that file's hooks in the scripted stage 1. Options, settings and description were evaluated with all
# modules of that NixOS but one (make test-nixos), but never built or booted. stage1 needs a newer kernel than NixOS had then:
# Linux 5.10.
{ config, pkgs, ... }:

with pkgs.lib;

let
  cfg = config.virtualisation;
  name = if config.networking.hostName == "" then "noname" else config.networking.hostName;
  programs = cfg.runvm.package;
  system = config.system.build.toplevel;

  # Forced, because the configuration may be that of a real machine.
  force = mkOverride 50;

  description = {
    inherit name;
    toplevel = "${system}";
    initrd = "${system}/initrd";
    allowReboot = true;
    inherit (cfg) memorySize diskSize diskImage emptyDiskImages graphics vlans writableStore writableStoreUseTmpfs useBootLoader;
    pathsInNixDB = map toString cfg.pathsInNixDB;
    qemu.options = cfg.qemu.options;
    qemu.program = "${pkgs.qemu_kvm}/bin/qemu-kvm";
  } // (if cfg.useBootLoader then { bootDisk = "${bootDisk}/disk.img"; } else { });

  file = pkgs.writeText "${name}.json" (builtins.toJSON description);
  script = pkgs.writeScript "run-nixos-vm" ''
    #! ${pkgs.stdenv.shell}
    exec ${programs}/bin/runvm run --config ${file} -- "$@"
  '';

  # A disk with one partition, GRUB and its menu. Only a virtual machine can make it.
  bootDisk = pkgs.vmTools.runInLinuxVM (pkgs.runCommand "nixos-boot-disk"
    {
      buildInputs = [ pkgs.utillinux ];
      preVM = ''
        mkdir $out
        diskImage=$out/disk.img
        ${pkgs.qemu_kvm}/bin/qemu-img create -f qcow2 $diskImage 32M
      '';
    }
    ''
      ${pkgs.parted}/sbin/parted --script /dev/vda mklabel msdos mkpart primary ext2 1M 100%
      . /sys/class/block/vda1/uevent
      mknod /dev/vda1 b $MAJOR $MINOR
      . /sys/class/block/vda/uevent
      mknod /dev/vda b $MAJOR $MINOR || true
      ${pkgs.e2fsprogs}/sbin/mkfs.ext4 -L boot /dev/vda1
      mkdir -p /boot /nix/var/nix/profiles
      mount /dev/vda1 /boot
      mkdir -p /boot/grub
      echo '(hd0) /dev/vda' >/boot/grub/device.map
      touch /etc/NIXOS
      ${system}/bin/switch-to-configuration boot
      umount /boot
    '');
in
{
  options = {
    virtualisation.memorySize = mkOption { default = 384; description = "Memory of the machine, in MiB."; };
    virtualisation.diskSize = mkOption { default = 512; description = "Size of a new root disk, in MiB."; };
    virtualisation.diskImage = mkOption {
      default = "./${name}.qcow2";
      description = "The root disk's image. It is created if it does not exist.";
    };
    virtualisation.emptyDiskImages = mkOption {
      default = [ ];
      type = types.listOf types.int;
      description = "Sizes in MiB of further disks, which are new and empty in every run.";
    };
    virtualisation.graphics = mkOption { default = true; description = "Whether QEMU opens a window. If not, it uses the terminal."; };
    virtualisation.pathsInNixDB = mkOption {
      default = [ ];
      description = "Store paths whose closures the guest's Nix database has. The host's other paths are visible, but count as garbage.";
    };
    virtualisation.vlans = mkOption {
      default = [ 1 ];
      example = [ 1 2 ];
      description = "Numbers of the machine's virtual networks. On network N, machine M has the address 192.168.N.M.";
    };
    virtualisation.writableStore = mkOption { default = false; description = "Whether the guest can add to the store, through a union."; };
    virtualisation.writableStoreUseTmpfs = mkOption {
      default = true;
      description = "Whether additions to the store are in memory instead of on the root disk.";
    };
    networking.primaryIPAddress = mkOption { default = ""; internal = true; description = "The address in /etc/hosts."; };
    virtualisation.qemu.options = mkOption { default = [ ]; example = [ "-vga std" ]; description = "Further arguments for QEMU."; };
    virtualisation.useBootLoader = mkOption {
      default = false;
      description = "Whether GRUB boots the machine from a boot disk, instead of QEMU starting the kernel directly.";
    };
    virtualisation.runvm.package = mkOption {
      default = pkgs.runvm;
      description = "The package with runvm, and with the static stage1 for the initrd.";
    };
  };

  config = {
    boot.loader.grub.device = force "/dev/vda";
    boot.initrd.availableKernelModules = [ "virtio_net" "virtio_pci" "virtio_blk" "virtio_console" "9p" "9pnet_virtio" ];
    boot.kernelModules = [ "virtio_balloon" "virtio_console" ];
    # stage1 has its own union for kernels without overlayfs.
    boot.initrd.kernelModules = optional cfg.writableStore "fuse";
    boot.initrd.extraUtilsCommands = "cp ${programs}/bin/stage1 $out/bin";
    boot.initrd.postDeviceCommands = "stage1 devices --device /dev/vda || fail";
    # Mounts /etc/NIXOS, /tmp, /boot, the shares, the store and the union over it; then registers the paths.
    boot.initrd.postMountCommands = ''
      stage1 mounts --target-root $targetRoot || fail
      stage1 register --target-root $targetRoot || fail
    '';

    virtualisation.pathsInNixDB = [ system ];

    # Replaces the real machine's file systems, whose disks do not exist here.
    fileSystems = mkOverride 10 ({
      "/".device = "/dev/vda";
    } // optionalAttrs cfg.useBootLoader {
      "/boot" = { device = "/dev/disk/by-label/boot"; fsType = "ext4"; options = "ro"; noCheck = true; };
    });
    swapDevices = force [ ];

    # The guest uses the host's clock.
    services.ntp.enable = false;

    services.xserver.videoDriver = force null;
    services.xserver.videoDrivers = force [ "vesa" ];
    services.xserver.defaultDepth = force 0;
    services.xserver.resolutions = force [{ x = 1024; y = 768; }];
    services.xserver.monitorSection = ''
      HorizSync 30-140
      VertRefresh 50-160
    '';
    networking.wireless.enable = force false;

    system.requiredKernelConfig = with config.lib.kernelConfig;
      map isEnabled [ "VIRTIO_BLK" "VIRTIO_PCI" "VIRTIO_NET" "EXT4_FS" ]
      ++ map isYes ([ "BLK_DEV" "PCI" "EXPERIMENTAL" "NETDEVICES" "NET_CORE" "INET" "NETWORK_FILESYSTEMS" ]
        ++ optionals (!cfg.graphics) [ "SERIAL_8250_CONSOLE" "SERIAL_8250" ]);

    system.build.machineDescription = description;
    system.build.vm = pkgs.runCommand "nixos-vm" { preferLocalBuild = true; } ''
      mkdir -p $out/bin
      ln -s ${system} $out/system
      ln -s ${script} $out/bin/run-${name}-vm
    '';
  };
}
