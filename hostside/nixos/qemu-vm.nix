# Beside nixpkgs' own qemu-vm.nix, whose options, types and assertions stay as they are: `system.build.vm` starts runvm
# with a description of what the user defined, and stage1 does the boot's own work in the initrd that NixOS makes.
# What qemu-vm.nix defines for its own script (shares, drives, arguments of QEMU) stays out of the description.
#
# Seen so far (tests/nixos): 49 configurations evaluated wholly by the modules of August 2024 with their own lib and with that of
# June 2026, and with a qemu-vm.nix of 2026 put among them; their descriptions taken by `runvm config`, their units the same as
# stage1/systemd's. What build-vm makes of a computer's configuration was built by Nix and booted, with the fixture's system, in an
# initrd of Debian's systemd 262 with the units that these modules make. nixpkgs has no package runvm: whoever imports this sets
# virtualisation.runvm.package, which may be an unpacked release, or an overlay does.
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

  # stage1 mounts these; a second mount by NixOS would hide its own.
  mountedByStage1 = [ "/nix/store" "/nix/.ro-store" "/nix/.rw-store" ]
    ++ lib.mapAttrsToList (_: share: share.target) cfg.sharedDirectories;
  fileSystems = removeAttrs cfg.fileSystems mountedByStage1
    // lib.optionalAttrs formats { "/" = { device = rootDevice; fsType = "ext4"; }; };

  # The commands after boot without qemu-vm.nix's, which would load the registration a second time: a definition that
  # takes all others' place can't see them, so they are read from the same configuration without it.
  others = (extendModules { modules = [{ virtualisation.runvm.register = false; }]; }).options.boot.postBootCommands;

  # The units are stage1/systemd's; only the root disk is named, because the initrd's own table may say by-label.
  failing = { DefaultDependencies = false; OnFailureJobMode = "replace-irreversibly"; };
  oneshot = command: {
    Type = "oneshot";
    RemainAfterExit = true;
    ExecStart = "/bin/stage1 ${command}";
    StandardOutput = "journal+console";
    StandardError = "journal+console";
  };
  # Whatever looks for stage 2 in the new root looks after us.
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
      # /tmp may be a tmpfs of the guest's own; the shares lie in it.
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
    # Emergency mode waits for a person; the launcher is told at once.
    stage1-emergency = {
      description = "Failure of the initrd, told to the launcher";
      wantedBy = [ "emergency.target" ];
      unitConfig.DefaultDependencies = false;
      serviceConfig = removeAttrs (oneshot "tell failed") [ "RemainAfterExit" ];
    };
  };
  # systemd.unit(5): how a path is written as a unit's name.
  device = lib.replaceStrings [ "-" "/" ] [ "\\x2d" "-" ] (lib.removePrefix "/" rootDevice) + ".device";

  file = pkgs.writeText "${config.system.name}.json" (builtins.toJSON description);
  script = cfg.host.pkgs.writeScript "run-nixos-vm" ''
    #! ${cfg.host.pkgs.runtimeShell}
    exec ${programs}/bin/runvm run --config ${file} -- "$@"
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
  };

  config = {
    assertions = lib.mapAttrsToList (name: why: { assertion = false; message = "runvm: ${name}: ${why}"; }) unmapped;

    # One step before the override that qemu-vm.nix uses.
    fileSystems = lib.mkIf (cfg.fileSystems != { }) (lib.mkOverride 9 fileSystems);

    # qemu-vm.nix of 2026 loads the registration in a service of stage 2's.
    systemd.services.register-nix-paths.enable = lib.mkIf cfg.runvm.register (lib.mkForce false);

    # The status is told before the machine goes: ExecStopPost= is a part of the service's end. (Of null Nix makes no attribute.)
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
        # A root by label is there only when udev has seen the new file system.
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

    # What `runvm run --notify-ready` waits for.
    systemd.services.stage1-ready = {
      description = "Readiness, told to the launcher";
      wantedBy = [ "multi-user.target" ];
      after = [ "multi-user.target" ];
      unitConfig.ConditionVirtualization = "vm";
      serviceConfig = { Type = "oneshot"; RemainAfterExit = true; ExecStart = "${programs}/bin/stage1 tell ready"; };
    };

    # The guest's end of `runvm exec`, for commands with the programs of the running system.
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
        ln -s ${script} $out/bin/run-${config.system.name}-vm
      '');
  };
}
