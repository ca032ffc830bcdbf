# Import this in addition to nixpkgs' own qemu-vm.nix, whose options, types and assertions stay unchanged. `system.build.vm`
# then starts runvm with a description of the user's definitions, and stage1 does the boot's work in NixOS's initrd. What
# qemu-vm.nix defines for its own script (shares, drives, arguments of QEMU) is not in the description.
#
# Tested so far (tests/nixos): 49 configurations were fully evaluated with the modules of August 2024, with their own lib, with
# that of June 2026, and with a qemu-vm.nix of 2026 among them. `runvm config` accepted their descriptions, and their units were
# the same as stage1/systemd's. The result of build-vm for a computer's configuration was built by Nix and booted with the
# fixture's system, in an initrd of Debian's systemd 262 with the units of these modules. nixpkgs has no package runvm: set
# virtualisation.runvm.package, for example to an unpacked release, or use an overlay.
#
#     virtualisation.vmVariant = {                       # what nixos-rebuild build-vm takes; in a NixOS test: defaults
#       imports = [ ./runvm/hostside/nixos/qemu-vm.nix ];
#       virtualisation.runvm.package = builtins.path { name = "runvm"; path = ./stage1-VERSION-x86_64-linux; };
#     };
{ config, lib, pkgs, options, modulesPath, extendModules, ... }:

let
  cfg = config.virtualisation;
  inherit (import ./description.nix { inherit config lib pkgs options; }) description unmapped ownDefinitions rootDevice;

  programs = cfg.runvm.package;
  systemdStage1 = config.boot.initrd.systemd.enable;
  formats = cfg.diskImage != null && cfg.useDefaultFilesystems;

  # stage1 mounts these; a second mount by NixOS would hide stage1's.
  mountedByStage1 = [ "/nix/store" "/nix/.ro-store" "/nix/.rw-store" ]
    ++ lib.mapAttrsToList (_: share: share.target) cfg.sharedDirectories;
  fileSystems = removeAttrs cfg.fileSystems mountedByStage1
    // lib.optionalAttrs formats { "/" = { device = rootDevice; fsType = "ext4"; }; };

  # The postBootCommands without those of qemu-vm.nix, which would load the registration a second time. A definition that
  # overrides all others cannot see them, so they come from the same configuration without this override.
  others = (extendModules { modules = [{ virtualisation.runvm.register = false; }]; }).options.boot.postBootCommands;

  # The units are those of stage1/systemd. Only the root disk is named, because the initrd's own table may say by-label.
  failing = { DefaultDependencies = false; OnFailureJobMode = "replace-irreversibly"; };
  oneshot = command: {
    Type = "oneshot";
    RemainAfterExit = true;
    ExecStart = "/bin/stage1 ${command}";
    StandardOutput = "journal+console";
    StandardError = "journal+console";
  };
  # These look for stage 2 in the new root, so they must start after ours.
  beforeStage2 = [ "initrd-fs.target" "initrd.target" "initrd-find-nixos-closure.service" "initrd-nixos-activation.service" ];
  units = {
    stage1-devices = lib.mkIf formats {
      description = "Root disk, formatted if it is empty";
      requiredBy = [ "sysroot.mount" ];
      bindsTo = [ device ];
      after = [ "systemd-modules-load.service" "systemd-udev-trigger.service" device ];
      before = [ "systemd-fsck-root.service" "sysroot.mount" "initrd-root-fs.target" ];
      onFailure = [ "emergency.target" ];
      unitConfig = failing;
      serviceConfig = oneshot "devices --device ${rootDevice}";
    };
    stage1-mounts = {
      description = "Shares and store of the virtual machine";
      requiredBy = [ "initrd-fs.target" ];
      requires = [ "sysroot.mount" ];
      after = [ "sysroot.mount" "initrd-root-fs.target" ];
      before = beforeStage2;
      onFailure = [ "emergency.target" ];
      # The shares are mounted in /tmp, which may be a tmpfs of the guest.
      unitConfig = failing // { RequiresMountsFor = "/sysroot/nix/store /sysroot/tmp"; };
      serviceConfig = oneshot "mounts --target-root /sysroot";
    };
    stage1-register = lib.mkIf cfg.runvm.register {
      description = "Registration of the closure in the Nix database";
      requiredBy = [ "initrd-fs.target" ];
      requires = [ "stage1-mounts.service" ];
      after = [ "stage1-mounts.service" ];
      before = beforeStage2;
      onFailure = [ "emergency.target" ];
      unitConfig = failing;
      serviceConfig = oneshot "register --target-root /sysroot";
    };
    # Emergency mode waits for a person, so tell the launcher immediately.
    stage1-emergency = {
      description = "Failure of the initrd, told to the launcher";
      wantedBy = [ "emergency.target" ];
      unitConfig.DefaultDependencies = false;
      serviceConfig = removeAttrs (oneshot "tell failed") [ "RemainAfterExit" ];
    };
  };
  # systemd.unit(5): a path as a unit's name.
  device = lib.replaceStrings [ "-" "/" ] [ "\\x2d" "-" ] (lib.removePrefix "/" rootDevice) + ".device";

  file = pkgs.writeText "${config.system.name}.json" (builtins.toJSON description);
  script = cfg.host.pkgs.writeScript "run-nixos-vm" ''
    #! ${cfg.host.pkgs.runtimeShell}
    exec ${programs}/bin/runvm run --config ${file} -- "$@"
  '';
  builderScript = cfg.host.pkgs.writeScript "make-builder" ''
    #! ${cfg.host.pkgs.runtimeShell}
    exec ${programs}/bin/runvm builder --config ${file} --graphics=off --jobs ${toString cfg.runvm.builder.jobs} --idle ${toString cfg.runvm.builder.idle} --features ${lib.escapeShellArg (lib.concatStringsSep "," cfg.runvm.builder.features)} "$@"
  '';
in
{
  imports = [ (modulesPath + "/virtualisation/qemu-vm.nix") ];

  options.virtualisation.runvm = {
    package = lib.mkOption {
      type = lib.types.package;
      default = pkgs.runvm or (throw ''
        virtualisation.runvm.package: there is no pkgs.runvm here. Set it: to (import PATH_OF_ITS_SOURCE { inherit pkgs; }), or to an
        unpacked release, builtins.path { name = "runvm"; path = ./stage1-VERSION-x86_64-linux; }.'');
      defaultText = lib.literalExpression "pkgs.runvm";
      description = "The package with runvm and the static stage1 that the initrd gets.";
    };
    register = lib.mkOption {
      type = lib.types.bool;
      default = true;
      description = "Whether stage1 registers the closure in the guest's Nix database, instead of the commands after boot.";
    };
    exitWith = lib.mkOption {
      type = lib.types.nullOr lib.types.str;
      default = null;
      example = "check";
      description = "A service of the guest's that starts at its boot, and whose end is the machine's: its exit status is runvm's.";
    };
    builder = {
      enable = lib.mkOption {
        type = lib.types.bool;
        default = false;
        description = "Whether system.build.vm has bin/make-NAME-builder, which makes the machine a builder of the host's Nix (runvm builder) and prints its line for nix.buildMachines or --builders.";
      };
      jobs = lib.mkOption {
        type = lib.types.int;
        default = 1;
        description = "How many builds at once.";
      };
      idle = lib.mkOption {
        type = lib.types.int;
        default = 300;
        description = "The machine is powered off when nobody has used it for so many seconds; 0: never.";
      };
      features = lib.mkOption {
        type = lib.types.listOf lib.types.str;
        default = [ "benchmark" "big-parallel" ];
        description = "Its system-features, for Nix on the host and in the guest.";
      };
    };
  };

  config = {
    assertions = lib.mapAttrsToList (name: why: { assertion = false; message = "runvm: ${name}: ${why}"; }) unmapped;

    # One priority above the override in qemu-vm.nix.
    fileSystems = lib.mkIf (cfg.fileSystems != { }) (lib.mkOverride 9 fileSystems);

    # The qemu-vm.nix of 2026 loads the registration in a stage 2 service.
    systemd.services.register-nix-paths.enable = lib.mkIf cfg.runvm.register (lib.mkForce false);

    # Reports the status before the machine powers off, because ExecStopPost= is part of the service's end. (Nix omits an
    # attribute whose name is null.)
    systemd.services.${cfg.runvm.exitWith} = {
      wantedBy = [ "multi-user.target" ];
      unitConfig = { SuccessAction = "poweroff"; FailureAction = "poweroff"; };
      serviceConfig.ExecStopPost = [ "${programs}/bin/stage1 tell exit" ];
    };

    boot.postBootCommands = lib.mkIf cfg.runvm.register
      (lib.mkForce (lib.concatMapStringsSep "\n" (d: d.value) (ownDefinitions others)));

    boot.initrd = lib.mkMerge [
      { kernelModules = [ "virtio_pci" "virtio_blk" "9pnet_virtio" "9p" "overlay" "fuse" "ext4" ] ++ lib.optional cfg.useNixStoreImage "erofs"; }
      (lib.mkIf systemdStage1 {
        systemd.storePaths = [ "${programs}/bin/stage1" ];
        systemd.extraBin.stage1 = "${programs}/bin/stage1";
        systemd.services = units;
      })
      (lib.mkIf (!systemdStage1) {
        extraUtilsCommands = "copy_bin_and_libs ${programs}/bin/stage1";
        # A root by label appears only after udev has seen the new file system.
        postDeviceCommands = lib.mkIf formats ''
          udevadm settle
          stage1 devices --device ${rootDevice} || fail
          udevadm settle
        '';
        postMountCommands = ''
          stage1 mounts --target-root $targetRoot || fail
          ${lib.optionalString cfg.runvm.register "stage1 register --target-root $targetRoot || fail"}
        '';
      })
    ];

    # `runvm run --notify-ready` waits for this.
    systemd.services.stage1-ready = {
      description = "Readiness, told to the launcher";
      wantedBy = [ "multi-user.target" ];
      after = [ "multi-user.target" ];
      unitConfig.ConditionVirtualization = "vm";
      serviceConfig = { Type = "oneshot"; RemainAfterExit = true; ExecStart = "${programs}/bin/stage1 tell ready"; };
    };

    # The guest's side of `runvm exec`; commands get the programs of the running system.
    systemd.services.stage1-agent = {
      description = "Agent for commands of the host";
      wantedBy = [ "multi-user.target" ];
      after = [ "local-fs.target" ];
      unitConfig = { DefaultDependencies = false; ConditionVirtualization = "vm"; };
      serviceConfig = {
        ExecStart = "${programs}/bin/stage1 agent --system /run/current-system";
        Restart = "on-failure";
        RestartSec = 1;
        KillMode = "process";
      };
    };

    system.build.machineDescription = description;
    system.build.vm = lib.mkForce (cfg.host.pkgs.runCommand "nixos-vm"
      { preferLocalBuild = true; meta.mainProgram = "run-${config.system.name}-vm"; }
      ''
        mkdir -p $out/bin
        ln -s ${config.system.build.toplevel} $out/system
        ln -s ${script} $out/bin/run-${config.system.name}-vm${lib.optionalString cfg.runvm.builder.enable "\nln -s ${builderScript} $out/bin/make-${config.system.name}-builder"}
      '');
  };
}
