# The description for runvm, made from the user's definitions of the options in nixpkgs' qemu-vm.nix. The file of each
# definition tells whether it is the user's. `unmapped` names defined options that cannot be obeyed, with the reason. `handled`
# lists every option of qemu-vm.nix that was known when this was written, and how it is treated; options that later versions add
# are refused if they are defined.
{ config, lib, pkgs, options }:

let
  cfg = config.virtualisation;
  opt = options.virtualisation;

  # --- who defined what ---
  theirs = map (name: "/virtualisation/${name}.nix") [ "qemu-vm" "disk-size-option" "credentials-options" "guest-networking-options" ];
  isOf = ends: file: lib.any (end: lib.hasSuffix end (toString file)) ends;
  isOwn = definition: !isOf (theirs ++ [ "/hostside/nixos/qemu-vm.nix" ]) definition.file;
  ownDefinitions = option: lib.filter isOwn option.definitionsWithLocations;
  own = option: map (d: d.value) (ownDefinitions option);
  ownIn = option: lib.concatLists (own option);
  # An option that this version of nixpkgs lacks counts as not defined.
  defined = path: lib.hasAttrByPath path opt && own (lib.getAttrFromPath path opt) != [ ];
  when = path: value: lib.optionalAttrs (defined path) (lib.setAttrByPath path value);
  same = path: when path (lib.getAttrFromPath path cfg);

  # --- what there is, and what becomes of it ---
  pathsIn = prefix: set: lib.concatMap
    (name:
      let path = prefix ++ [ name ]; inner = set.${name};
      in if inner._type or "" == "option" then lib.optional (lib.any (isOf theirs) inner.declarations) path else pathsIn path inner)
    (lib.filter (name: !lib.hasPrefix "_" name) (lib.attrNames set));
  handled = {
    # Keys of the description.
    described = [
      "memorySize" "cores" "graphics" "resolution" "msize" "diskImage" "diskSize" "emptyDiskImages" "additionalPaths"
      "pathsInNixDB" "sharedDirectories" "forwardPorts" "restrictNetwork" "vlans" "interfaces" "writableStore"
      "writableStoreUseTmpfs" "bios" "directBoot.initrd" "credentials" "qemu.package" "qemu.options" "qemu.networkingOptions"
      "qemu.consoles" "qemu.drives" "qemu.diskInterface" "qemu.guestAgent.enable" "qemu.virtioKeyboard" "qemu.forceAccel"
      "qemu.enableSharedMemory" "useHostCerts" "useNixStoreImage" "useEFIBoot" "efi.firmware" "efi.variables"
      "tpm.enable" "tpm.package" "tpm.deviceModel" "tpm.provisioning"
    ];
    # Obeyed by the modules themselves.
    evaluated = [ "fileSystems" "rootDevice" "useDefaultFilesystems" "host.pkgs" "diskSizeAutoSupported" ];
    # Refused at any value except the one that is obeyed anyway (`unmapped`).
    refused = [
      "useBootLoader" "useSecureBoot" "mountHostNixStore" "directBoot.enable" "nixStore9pCache"
    ];
    # No effect unless an option of the previous list is obeyed.
    idle = [
      "bootLoaderDevice" "bootPartition" "installBootLoader" "useBIOSBoot" "efi.OVMF" "efi.keepVariables" "allInterfaces"
    ];
    # Removed from NixOS, which reports that itself.
    gone = [ "bootDevice" "efiVars" "persistBootDevice" ];
  };
  known = lib.concatLists (lib.attrValues handled);
  optionNames = map (lib.concatStringsSep ".") (pathsIn [ ] opt);
  unknown = lib.filter (name: !lib.elem name known) optionNames;

  # --- values that need words of their own ---
  # runvm expands only the sockets of NixOS's test driver.
  shell = text: lib.any (c: lib.hasInfix c (lib.replaceStrings [ "$QEMU_VDE_SOCKET_" ] [ "" ] text)) [ "$" "`" ];
  tags = lib.unique (lib.concatMap lib.attrNames (own opt.sharedDirectories));
  reserved = [ "nix-store" "xchg" "certs" "shared" ];
  shares = lib.genAttrs (lib.subtractLists reserved tags)
    (tag: { inherit (cfg.sharedDirectories.${tag}) source target; }
      # Of 9p alone; NixOS has shared by virtiofs since August 2026.
      // lib.optionalAttrs (cfg.sharedDirectories.${tag} ? securityModel) { inherit (cfg.sharedDirectories.${tag}) securityModel; });
  sizeOf = disk: disk.size or disk;
  oddDisks = lib.filter (disk: lib.isAttrs disk && oddDrive (disk.driveConfig or { })) cfg.emptyDiskImages;
  oddDrive = drive: lib.any (name: !lib.elem drive.${name} [ null "" { } [ ] ]) (lib.attrNames drive);
  # systemd finds credentials in fw_cfg as well as in SMBIOS, whose files would have to be made at each start.
  credentials = lib.mapAttrsToList
    (name: credential: "-fw_cfg ${lib.escapeShellArg "name=opt/io.systemd.credentials/${name},file=${lib.replaceStrings [ "," ] [ ",," ] (toString credential.source)}"}")
    (cfg.credentials or { });
  # NixOS's own default of 2026 is for its virtiofs; runvm shares memory with its own.
  sharedMemory = lib.optionals (defined [ "qemu" "enableSharedMemory" ] && cfg.qemu.enableSharedMemory) [
    "-object memory-backend-memfd,id=mem0,size=${toString cfg.memorySize}M,share=on"
    "-machine memory-backend=mem0"
  ];
  arguments = ownIn opt.qemu.options ++ sharedMemory ++ credentials;
  byLabel = "/dev/disk/by-label/nixos";
  # An empty disk has no label, so it would never be found by label.
  rootDevice = if lib.elem cfg.rootDevice [ null byLabel ] then "/dev/disk/by-id/virtio-root" else cfg.rootDevice;

  # NixOS of 2026 has removed the option, so that even reading it fails.
  secureBoot = opt ? useSecureBoot && lib.elem true (own opt.useSecureBoot);

  merge = lib.foldl' lib.recursiveUpdate { };
  registration = cfg.host.pkgs.closureInfo { rootPaths = cfg.additionalPaths; };

  description = merge ([
    {
      inherit (config.system) name;
      toplevel = "${config.system.build.toplevel}";
      initrd = cfg.directBoot.initrd;
      # The table in the initrd names the root.
      rootDevice = "fstab";
      # NixOS's defaults where runvm's differ. A guest's reboot is a reboot unless the arguments contain -no-reboot.
      allowReboot = true;
      inherit (cfg) graphics;
      qemu.guestAgent.enable = cfg.qemu.guestAgent.enable;
      qemu.program = "${cfg.qemu.package}/bin/qemu-system-x86_64";
    }
    (lib.optionalAttrs cfg.runvm.register { regInfo = "${registration}/registration"; })
    (when [ "emptyDiskImages" ] (map sizeOf cfg.emptyDiskImages))
    (when [ "bios" ] (if cfg.bios == null then null else "${cfg.bios}/bios.bin"))
    (when [ "interfaces" ] (lib.mapAttrs' (name: i: lib.nameValuePair (i.name or name) { inherit (i) vlan assignIP; }) cfg.interfaces))
    (lib.optionalAttrs (arguments != [ ]) { qemu.options = arguments; })
    (lib.optionalAttrs (cfg.qemu.forceAccel or false) { accelerator = "kvm"; })
    (when [ "qemu" "drives" ] (ownIn opt.qemu.drives))
    (when [ "qemu" "networkingOptions" ] (ownIn opt.qemu.networkingOptions))
    # NixOS makes no image of a writable store unless told to.
    (lib.optionalAttrs cfg.useNixStoreImage { useNixStoreImage = true; inherit (cfg) writableStore; })
    (lib.optionalAttrs (cfg.useHostCerts or false) { useHostCerts = true; })
    # NixOS names OVMF's package; runvm would have to search for the firmware.
    (lib.optionalAttrs cfg.useEFIBoot { useEFIBoot = true; efi = { firmware = "${cfg.efi.firmware}"; variables = "${cfg.efi.variables}"; }; })
    (lib.optionalAttrs (cfg.tpm.enable or false) {
      tpm = { enable = true; program = "${cfg.tpm.package}/bin/swtpm"; inherit (cfg.tpm) deviceModel; }
        // lib.optionalAttrs ((cfg.tpm.provisioning or null) != null) { inherit (cfg.tpm) provisioning; };
    })
    (lib.optionalAttrs (shares != { }) { sharedDirectories = shares; })
    (lib.optionalAttrs (lib.elem "shared" tags) { sharedDir = cfg.sharedDirectories.shared.source; })
  ] ++ map same [
    [ "memorySize" ] [ "cores" ] [ "msize" ] [ "diskSize" ] [ "diskImage" ] [ "resolution" ] [ "writableStore" ]
    [ "writableStoreUseTmpfs" ] [ "restrictNetwork" ] [ "vlans" ] [ "forwardPorts" ] [ "qemu" "consoles" ]
    [ "qemu" "diskInterface" ] [ "qemu" "virtioKeyboard" ]
  ]);

  # --- what can't be obeyed ---
  on = condition: why: if condition then why else null;
  unmapped = lib.filterAttrs (_: why: why != null) {
    "nixpkgs.hostPlatform" = on (!pkgs.stdenv.hostPlatform.isx86_64) "only x86_64 is booted";
    "virtualisation.useBootLoader" = on cfg.useBootLoader "runvm makes its disk when it starts, and without this module: runvm run --use-boot-loader ./result";
    "virtualisation.useSecureBoot" = on secureBoot "such firmware starts no kernel that nobody signed, and runvm boots the kernel";
    "virtualisation.runvm.builder.enable" =
      on (cfg.runvm.builder.enable && !cfg.writableStore) "a builder needs a store that the guest can add to (writableStore)";
    "virtualisation.mountHostNixStore" = on (!cfg.mountHostNixStore && !cfg.useNixStoreImage) "the guest always uses the host's store";
    "virtualisation.directBoot.enable" = on (!cfg.directBoot.enable) "runvm boots the kernel directly";
    "virtualisation.qemu.drives" =
      on (lib.any (drive: shell (toString drive.file)) (ownIn opt.qemu.drives)) "shell expansions ($ or `) are not supported";
    "virtualisation.nixStore9pCache" = on ((cfg.nixStore9pCache or "loose") != "loose") "the store is always cached loosely, because it never changes";
    "virtualisation.credentials" =
      on (lib.any (c: c.source == null) (lib.attrValues (cfg.credentials or { }))) "each needs a source or a text";
    "virtualisation.qemu.diskInterface" = on (cfg.qemu.diskInterface != "virtio") "the initrd finds the root disk as virtio's alone";
    "virtualisation.qemu.options" = on (lib.any shell (ownIn opt.qemu.options)) "shell expansions ($ or `) are not supported";
    "virtualisation.qemu.networkingOptions" =
      on (lib.any shell (ownIn opt.qemu.networkingOptions)) "shell expansions ($ or `) are not supported";
    "virtualisation.sharedDirectories" =
      if lib.any (tag: shell cfg.sharedDirectories.${tag}.source) tags then "a source is a path; shell expansions ($ or `) are not supported"
      else on (lib.any (tag: lib.elem tag tags) [ "nix-store" "xchg" "certs" ]) "nix-store, xchg and certs are runvm's own";
    "virtualisation.emptyDiskImages" = on (oddDisks != [ ]) "only the defaults of driveConfig are supported";
    "virtualisation.vlans" = on (defined [ "vlans" ] && lib.any (n: n < 1 || n > 255) cfg.vlans) "a vlan is a number from 1 to 255";
    "virtualisation.interfaces" =
      on (lib.any (i: i.vlan < 1 || i.vlan > 255) (lib.attrValues (cfg.interfaces or { }))) "a vlan is a number from 1 to 255";
    "boot.initrd.systemd.root" =
      on (config.boot.initrd.systemd.enable && (config.boot.initrd.systemd.root or "fstab") == "gpt-auto") "a root by gpt-auto is never an empty disk's; use fstab";
  } // lib.listToAttrs (map
    (name: lib.nameValuePair "virtualisation.${name}" "NixOS has this option since this module was written; it is not known here")
    (lib.filter (name: defined (lib.splitString "." name)) unknown));
in
{ inherit description unmapped ownDefinitions rootDevice handled optionNames unknown; }
