# hostside/nixos/qemu-vm-2013.nix in the place of the file whose options it has, in `nixos`, a NixOS of October 2013. `libdir`: a
# nixpkgs' lib that still knows optionSet (15.05); the one of 2013 lay in another repository. `names`: as evaluate.nix's.
{ module, nixos, libdir, names }:
let
  # An option of 2013 may say how it is merged.
  lib = import libdir // { mkOption = option: (import libdir).mkOption (removeAttrs option [ "merge" ]); };
  pkgs = import ./packages.nix { inherit lib; names = builtins.fromJSON (builtins.readFile names); path = nixos; };
  # A module of 2013 may set a thing beside its `config`.
  old = file: { config, options, ... }:
    let
      given = args // { inherit config options; };
      set = if builtins.isFunction (import file) then import file given else import file;
      rest = removeAttrs set [ "options" "config" "imports" "require" ];
    in {
      imports = map old ((set.imports or [ ]) ++ (set.require or [ ]));
      options = set.options or { };
      config = lib.mkMerge [ (set.config or { }) rest ];
    };
  # What every module is given: no part of the configuration, as it is today, because pkgs.lib makes the modules themselves.
  args = {
    inherit pkgs lib;
    modulesPath = nixos + "/modules";
    utils = import (nixos + "/lib/utils.nix") pkgs;
    baseModules = [ ];
    modules = [ ];
    pkgs_i686 = pkgs;
  };
  # It looks at what is set to say what it sets, which no module system allows any more.
  base = lib.filter (file: baseNameOf (toString file) != "rename.nix") (import (nixos + "/modules/module-list.nix"));
  evaluate = file: configuration: lib.evalModules {
    modules = [ (old file) configuration ] ++ map old base;
    check = false;
  };
  theirs = evaluate (nixos + "/modules/virtualisation/qemu-vm.nix") { };
  outcome = e: {
    description = e.config.system.build.machineDescription // { toplevel = "/t"; initrd = "/t/initrd"; pathsInNixDB = [ ]; };
    inherit (e.config.boot.initrd) postDeviceCommands postMountCommands supportedFilesystems;
    fuse = lib.elem "fuse" e.config.boot.initrd.kernelModules;
    fileSystems = map (f: "${f.mountPoint} ${toString f.device} ${f.fsType}") (lib.attrValues e.config.fileSystems);
    wireless = e.config.networking.wireless.enable;
    ntp = e.config.services.ntp.enable;
    swap = builtins.length e.config.swapDevices;
    drivers = e.config.services.xserver.videoDrivers;
    grub = e.config.boot.loader.grub.device;
  };
  # By name and default, what the old file has and ours hasn't, or has otherwise.
  options = e: lib.mapAttrs (_: o: if o ? default then builtins.toJSON o.default else "")
    (removeAttrs e.options.virtualisation [ "runvm" "qemu" "libvirtd" "nova" "xen" "virtualbox" "nixos" "_definedNames" ]
      // { qemu-options = e.options.virtualisation.qemu.options; });
  ours = evaluate module { };
  missing = lib.filterAttrs (name: default: (options ours).${name} or null != default) (options theirs);
in
{
  inherit missing;
  plain = outcome ours;
  server = outcome (evaluate module {
    networking.hostName = "server";
    networking.wireless.enable = true;
    services.ntp.enable = true;
    fileSystems."/".device = "/dev/sda1";
    swapDevices = [{ device = "/dev/sda2"; }];
    virtualisation = { memorySize = 1024; graphics = false; writableStore = true; writableStoreUseTmpfs = false; vlans = [ 1 2 ]; emptyDiskImages = [ 10 20 ]; qemu.options = [ "-vga std" ]; };
  });
}
