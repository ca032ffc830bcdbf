# The options of nixpkgs' qemu-vm.nix of 2026 by name, type and default, and the definitions of its own that a description must
# not take over. Written for the tests.
{ config, lib, options, pkgs, ... }:
let
  inherit (lib) mkIf mkMerge mkOption mkOverride types;
  cfg = config.virtualisation;
  option = default: mkOption { inherit default; };
  list = inner: mkOption { type = types.listOf inner; default = [ ]; };
  file = "/nix/store/00000000000000000000000000000000-initrd/initrd";
in
{
  options.virtualisation = {
    fileSystems = mkOption { type = types.attrsOf (types.filledWith { fsType = "auto"; options = [ "defaults" ]; device = null; }); default = { }; };
    memorySize = option 1024;
    msize = option 16384;
    diskImage = option "./${config.system.name}.qcow2";
    diskSizeAutoSupported = option true;
    diskSize = option (if cfg.diskSizeAutoSupported then "auto" else 1024);
    bootLoaderDevice = option "/dev/disk/by-id/virtio-root";
    bootPartition = option null;
    rootDevice = option "/dev/disk/by-label/nixos";
    emptyDiskImages = list (types.coerced (size: if builtins.isInt size then { inherit size; } else size)
      (types.filledWith { driveConfig = { driveExtraOpts = { }; deviceExtraOpts = { }; name = null; }; }));
    graphics = option true;
    resolution = option { x = 1024; y = 768; };
    cores = option 1;
    sharedDirectories = mkOption { type = types.attrsOf (types.filledWith { securityModel = "mapped-xattr"; }); default = { }; };
    additionalPaths = list types.raw;
    forwardPorts = list (types.filledWith { from = "host"; proto = "tcp"; host.address = ""; guest.address = ""; });
    restrictNetwork = option false;
    vlans = mkOption { type = types.listOf types.raw; default = if cfg.interfaces == { } then [ 1 ] else [ ]; };
    interfaces = mkOption { type = types.attrsOf (types.filledWith { assignIP = false; }); default = { }; };
    writableStore = option cfg.mountHostNixStore;
    writableStoreUseTmpfs = option true;
    host.pkgs = option pkgs;
    qemu = {
      enableSharedMemory = option false;
      package = option pkgs.qemu_kvm;
      forceAccel = option false;
      options = list types.raw;
      consoles = mkOption { type = types.listOf types.raw; default = [ "ttyS0,115200n8" "tty0" ]; };
      networkingOptions = list types.raw;
      drives = list types.raw;
      diskInterface = option "virtio";
      guestAgent.enable = option true;
      virtioKeyboard = option true;
    };
    useNixStoreImage = option false;
    mountHostNixStore = option (!cfg.useNixStoreImage && !cfg.useBootLoader);
    nixStore9pCache = option "loose";
    directBoot = { enable = option (!cfg.useBootLoader); initrd = option file; };
    useBootLoader = option false;
    installBootLoader = option (cfg.useBootLoader && cfg.useDefaultFilesystems);
    useBIOSBoot = option false;
    useEFIBoot = option false;
    useSecureBoot = option false;
    efi = { OVMF = option pkgs.OVMF; firmware = option pkgs.OVMF.firmware; variables = option pkgs.OVMF.variables; keepVariables = option cfg.useBootLoader; };
    tpm = { enable = option false; package = option (pkgs.runCommand "swtpm" { } ""); deviceModel = option "tpm-tis"; provisioning = option null; };
    useDefaultFilesystems = option true;
    bios = option null;
    useHostCerts = option false;
    credentials = mkOption { type = types.attrsOf (types.filledWith { source = null; text = null; mechanism = "smbios"; }); default = { }; };
  };

  config = {
    virtualisation.diskSizeAutoSupported = false;
    virtualisation.additionalPaths = [ config.system.build.toplevel ];
    virtualisation.sharedDirectories = {
      nix-store = mkIf cfg.mountHostNixStore { source = "/nix/store"; target = "/nix/.ro-store"; securityModel = "none"; };
      xchg = { source = ''"$TMPDIR"/xchg''; target = "/tmp/xchg"; securityModel = "none"; };
      shared = { source = ''"''${SHARED_DIR:-$TMPDIR/xchg}"''; target = "/tmp/shared"; securityModel = "none"; };
      certs = mkIf cfg.useHostCerts { source = ''"$TMPDIR"/certs''; target = "/etc/ssl/certs"; securityModel = "none"; };
    };
    virtualisation.qemu.networkingOptions = [ "-net nic,netdev=user.0,model=virtio" "-netdev user,id=user.0,\"$QEMU_NET_OPTS\"" ];
    virtualisation.qemu.options = [ "-device virtio-keyboard" "-append \"$(cat ${config.system.build.toplevel}/kernel-params)\"" ];
    virtualisation.qemu.drives = mkMerge [
      (mkIf (cfg.diskImage != null) [{ name = "root"; file = ''"$NIX_DISK_IMAGE"''; }])
      (map (_: { file = "$(pwd)/empty.qcow2"; }) cfg.emptyDiskImages)
    ];
    boot.postBootCommands = mkIf config.nix.enable "nix-store --load-db <regInfo";

    fileSystems = mkIf (cfg.fileSystems != { }) (mkOverride 10 cfg.fileSystems);
    virtualisation.fileSystems = mkMerge [
      (builtins.listToAttrs (lib.mapAttrsToList
        (tag: share: { name = share.target; value = { device = tag; fsType = "9p"; neededForBoot = true; options = [ "trans=virtio" ]; }; })
        cfg.sharedDirectories))
      {
        "/" = mkIf cfg.useDefaultFilesystems
          (if cfg.diskImage == null then { device = "tmpfs"; fsType = "tmpfs"; } else { device = cfg.rootDevice; fsType = "ext4"; });
        "/nix/store" = mkIf cfg.mountHostNixStore { device = "overlay"; };
        "/nix/.rw-store" = mkIf (cfg.writableStore && cfg.writableStoreUseTmpfs) { fsType = "tmpfs"; };
      }
    ];
    system.build.vm = pkgs.runCommand "nixos-vm" { } "nixpkgs' own script";
  };
}
