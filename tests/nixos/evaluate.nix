# The module evaluated for every configuration of configurations.nix: what of each outcome is its doing. Without `nixpkgs` by the
# stand-ins beside this file, else by NixOS's own modules there (`libdir`: nixpkgs' lib, `names`: what its modules mention, JSON).
{ module, nixpkgs ? null, libdir ? null, names ? null, only ? null }:
let
  real = if nixpkgs == null then null else import ./nixpkgs.nix { inherit nixpkgs libdir names; };
  lib = if real == null then import ./standin/lib.nix else real.lib;
  pkgs = if real == null then import ./packages.nix { inherit lib; } else real.pkgs;
  evaluate = configuration:
    let modules = [ module configuration ];
    in if real == null then import ./standin/nixos.nix { inherit lib pkgs modules; } else real.nixos { label = "tested"; inherit modules; };

  unitsOf = units: lib.mapAttrs (_: u: { text = own u.text; inherit (u) requiredBy wantedBy; }) units;
  modules = [ "virtio_pci" "virtio_blk" "9pnet_virtio" "9p" "overlay" "fuse" "ext4" "erofs" ];
  ours = lib.hasPrefix "stage1-";
  # Without what nixpkgs puts into the environment of every service, and what says again who wants it.
  own = text: lib.concatStringsSep "\n"
    (lib.filter (line: !lib.hasPrefix "Environment=" line) (lib.splitString "\n" (lib.head (lib.splitString "\n[Install]\n" text))));

  # NixOS itself evaluates nothing that has a failed assertion.
  outcome = e:
    let refused = map (a: a.message) (lib.filter (a: !a.assertion && lib.hasPrefix "runvm:" a.message) e.config.assertions);
    in if refused != [ ] then { inherit refused; } else made e.config;
  made = config:
    let inherit (config.boot) initrd; in {
      description = config.system.build.machineDescription;
      vm = config.system.build.vm.text;
      commandsAfterBoot = lib.filter (line: line == "echo mine") (lib.splitString "\n" config.boot.postBootCommands);
      # Once by commands after boot, since 2026 by a service.
      registeredByStage2 = lib.hasInfix "--load-db" config.boot.postBootCommands
        || config.systemd.services ? register-nix-paths && config.systemd.services.register-nix-paths.enable or true;
      fileSystems = lib.mapAttrs (_: f: { inherit (f) device fsType; }) config.fileSystems;
      kernelModules = lib.filter (name: lib.elem name initrd.kernelModules) modules;
    } // lib.optionalAttrs initrd.systemd.enable {
      units = unitsOf (lib.filterAttrs (name: _: ours name) initrd.systemd.units);
      storePaths = lib.filter (lib.hasInfix "runvm") (map (path: toString (path.source or path)) initrd.systemd.storePaths);
      extraBin = initrd.systemd.extraBin.stage1;
    } // lib.optionalAttrs (config.virtualisation.runvm.exitWith != null) {
      stage2Units = unitsOf (lib.filterAttrs
        (name: _: ours name || name == "${config.virtualisation.runvm.exitWith}.service") config.systemd.units);
    } // lib.optionalAttrs (!initrd.systemd.enable) {
      hooks = { inherit (initrd) postDeviceCommands postMountCommands; extraUtils = lib.hasInfix "/bin/stage1" initrd.extraUtilsCommands; };
    };

  plain = evaluate { };
  described = import (dirOf module + "/description.nix") { inherit lib pkgs; inherit (plain) config options; };
  configurations = import ./configurations.nix { inherit lib pkgs; };
  wanted = lib.filterAttrs (name: _: only == null || name == only) configurations;
  # A configuration of an option that this NixOS hasn't got.
  possible = lib.filterAttrs
    (_: c: lib.all (name: lib.elem name described.optionNames) (c.needs or [ ])) wanted;
in
{
  outcomes = lib.mapAttrs (_: c: outcome (evaluate c.module)) possible;
  without = lib.filter (name: !(possible ? ${name})) (lib.attrNames wanted);
  inherit (described) optionNames unknown handled;
}
