# What people write about a virtual machine, one habit each. `needs`: options that not every NixOS has.
{ lib, pkgs }:
let
  virtual = virtualisation: { inherit virtualisation; };
  # Under systemd in the initrd, unless it says otherwise; NixOS's own default has changed.
  systemd = module: { imports = [ module ]; config.boot.initrd.systemd.enable = lib.mkDefault true; };
  all = {
    plain = virtual { };
    scripted = { boot.initrd.systemd.enable = false; };
    scripted-tmpfs = { boot.initrd.systemd.enable = false; virtualisation.diskImage = null; virtualisation.runvm.register = false; };
    named = { networking.hostName = "web"; };
    size = virtual { memorySize = 2048; cores = 4; diskSize = 8192; diskImage = "/var/tmp/web.qcow2"; };
    forced-size = virtual { memorySize = lib.mkForce 512; cores = lib.mkDefault 2; };
    tmpfs-root = virtual { diskImage = null; };
    root-by-label = virtual { rootDevice = "/dev/disk/by-label/nixos"; };
    root-by-name = virtual { rootDevice = "/dev/vda"; };
    own-file-systems = {
      virtualisation.useDefaultFilesystems = false;
      virtualisation.fileSystems."/" = { device = "/dev/disk/by-label/data"; fsType = "btrfs"; };
    };
    more-file-systems = virtual { fileSystems."/data" = { device = "/dev/vdb"; fsType = "ext4"; }; emptyDiskImages = [ 512 ]; };
    headless = virtual { graphics = false; };
    window = virtual { graphics = true; resolution = { x = 1280; y = 800; }; qemu.virtioKeyboard = false; };
    consoles = virtual { qemu.consoles = [ "tty0" "ttyS0" ]; qemu.guestAgent.enable = false; };
    share = virtual { sharedDirectories.src = { source = "/home/me/src"; target = "/src"; }; msize = 131072; };
    shared = virtual { sharedDirectories.shared.source = lib.mkForce "/srv/drop"; };
    ports = virtual {
      forwardPorts = [
        { from = "host"; host.port = 2222; guest.port = 22; }
        { from = "guest"; guest = { address = "10.0.2.10"; port = 80; }; host = { address = "127.0.0.1"; port = 8080; }; }
      ];
    };
    restricted = virtual { restrictNetwork = true; };
    empty-disks = virtual { emptyDiskImages = [ 20 40 ]; };
    store-read-only = virtual { writableStore = false; };
    store-on-disk = virtual { writableStoreUseTmpfs = false; };
    bios = virtual { bios = pkgs.qboot or (pkgs.runCommand "qboot" { } ""); };
    qemu-options = virtual { qemu.options = [ "-device usb-tablet" "-vga std" ]; qemu.networkingOptions = [ "-nic none" ]; };
    test-driver = virtual {
      qemu.options = [
        "-device virtio-net-pci,netdev=vlan1,mac=52:54:00:12:01:01"
        "-netdev vde,id=vlan1,sock=\"$QEMU_VDE_SOCKET_1\""
      ];
      qemu.consoles = [ "ttyS0" ];
    };
    qemu-package = virtual { qemu.package = pkgs.qemu_test or (pkgs.runCommand "qemu_test" { } ""); };
    more-paths = virtual { additionalPaths = [ "/nix/store/00000000000000000000000000000000-hello" ]; };
    commands-after-boot = { boot.postBootCommands = "echo mine"; };
    unregistered = { boot.postBootCommands = "echo mine"; virtualisation.runvm.register = false; };
    obeyed-anyway = virtual {
      directBoot.enable = true;
      mountHostNixStore = true;
      useEFIBoot = false;
      useBootLoader = false;
      useNixStoreImage = false;
      tpm.enable = false;
      bios = null;
    };

    # The options that people set most; tests/boot boots both.
    most-used = virtual {
      memorySize = 768;
      cores = 2;
      diskSize = 640;
      diskImage = "./most-used.qcow2";
      emptyDiskImages = [ 20 40 ];
      forwardPorts = [{ from = "host"; host.port = 2222; guest.port = 80; }];
      sharedDirectories.src = { source = "/home/me/src"; target = "/src"; };
      msize = 65536;
      graphics = false;
      writableStore = true;
      writableStoreUseTmpfs = false;
      qemu.options = [ "-smbios type=1,serial=most-used" ];
    };
    most-used-apart = virtual {
      diskImage = null;
      useNixStoreImage = true;
      graphics = true;
    };
    exit-with = {
      systemd.services.check = { description = "Check of the machine"; serviceConfig = { Type = "exec"; ExecStart = "/tmp/xchg/check"; }; };
      virtualisation = { graphics = false; runvm.exitWith = "check"; };
    };

    builder = virtual { graphics = false; runvm.builder = { enable = true; jobs = 4; idle = 60; features = [ "kvm" "it's" ]; }; };
    refused-builder = virtual { writableStore = false; runvm.builder.enable = true; };

    refused-boot-loader = virtual { useBootLoader = true; useSecureBoot = true; };
    efi = virtual { useEFIBoot = true; };
    tpm = virtual { tpm.enable = true; };
    refused-store = virtual { mountHostNixStore = false; };
    store-image = virtual { useNixStoreImage = true; };
    store-image-written-to = virtual { useNixStoreImage = true; writableStore = true; };
    host-certs = virtual { useHostCerts = true; };
    refused-shell = virtual {
      sharedDirectories.src = { source = "$HOME/src"; target = "/src"; };
      qemu.options = [ "-m $MEMORY" ];
      qemu.networkingOptions = [ "-netdev user,id=n,`cat net`" ];
    };
    drives = virtual {
      qemu.drives = [
        { name = "data"; file = "/srv/data.raw"; driveExtraOpts = { format = "raw"; readonly = "on"; }; deviceExtraOpts.serial = "data"; }
        { file = "more.qcow2"; driveExtraOpts = { cache = "writeback"; werror = "report"; }; }
      ];
    };
    refused-hardware = virtual { qemu.diskInterface = "scsi"; qemu.drives = [{ file = "$HOME/x.qcow2"; }]; };
    refused-share = virtual { sharedDirectories.xchg.source = lib.mkForce "/srv/x"; };
    refused-newer = { imports = [ ./newer/virtualisation/qemu-vm.nix ]; config.virtualisation.newThing = true; };
    newer-untouched = { imports = [ ./newer/virtualisation/qemu-vm.nix ]; };
    refused-no-kernel = virtual { directBoot.enable = false; };
  };
in
lib.mapAttrs (_: module: { module = systemd module; }) all // {
  # Elsewhere in NixOS of 2026.
  vlans = { needs = [ "vlans" ]; module = systemd (virtual { vlans = [ 1 2 ]; }); };
  interfaces = { needs = [ "interfaces" ]; module = systemd (virtual { interfaces.enp1s0 = { vlan = 3; assignIP = true; }; }); };
  refused-vlan = { needs = [ "vlans" ]; module = systemd (virtual { vlans = [ 0 ]; }); };
  # Of qemu-vm.nix of 2026.
  accelerated = { needs = [ "qemu.forceAccel" "qemu.enableSharedMemory" ]; module = systemd (virtual { qemu.forceAccel = true; qemu.enableSharedMemory = true; memorySize = 512; }); };
  memory-for-virtiofs = { needs = [ "qemu.enableSharedMemory" ]; module = systemd { imports = [ ./newer/virtiofs/virtualisation/qemu-vm.nix ]; }; };
  credentials = { needs = [ "credentials" ]; module = systemd (virtual { credentials."a,b".source = "./pass word"; }); };
  disks-with-a-serial = { needs = [ "nixStore9pCache" ]; module = systemd (virtual { emptyDiskImages = [ 20 { size = 40; driveConfig.deviceExtraOpts.serial = "data"; } ]; }); };
  refused-cache = { needs = [ "nixStore9pCache" ]; module = systemd (virtual { nixStore9pCache = "none"; }); };
}
