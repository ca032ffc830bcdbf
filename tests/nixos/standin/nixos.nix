# The rest of NixOS that the modules touch, and an evaluation with it: what nixos/lib/eval-config.nix is in nixpkgs.
{ lib, pkgs, modules }:
let
  inherit (lib) mkOption types;
  option = type: default: mkOption { inherit type default; };
  nixos = { config, ... }: {
    options = {
      assertions = option (types.listOf types.raw) [ ];
      fileSystems = option (types.attrsOf (types.filledWith { fsType = "auto"; options = [ "defaults" ]; device = null; })) { };
      networking.hostName = option types.raw "nixos";
      nix.enable = option types.raw true;
      boot = {
        postBootCommands = option types.lines "";
        initrd = {
          kernelModules = option (types.listOf types.raw) [ ];
          extraUtilsCommands = option types.lines "";
          postDeviceCommands = option types.lines "";
          postMountCommands = option types.lines "";
          systemd = {
            enable = option types.raw false;
            root = option types.raw "fstab";
            storePaths = option (types.listOf types.raw) [ ];
            extraBin = option (types.attrsOf types.raw) { };
            services = option (types.attrsOf types.anything) { };
            units = option types.raw { };
          };
        };
      };
      systemd.services = option (types.attrsOf types.anything) { };
      systemd.units = option types.raw { };
      system.name = option types.raw config.networking.hostName;
      system.build = option (types.attrsOf types.raw) { };
    };
    config = {
      system.build.toplevel = pkgs.runCommand "nixos-system-${config.system.name}-tested" { } "";
      boot.initrd.systemd.units = units config.boot.initrd.systemd.services;
      # Of those of stage 2 some are only switched off.
      systemd.units = units (lib.filterAttrs (_: service: service ? serviceConfig) config.systemd.services);
    };
  };

  units = services: builtins.listToAttrs (lib.mapAttrsToList
    (name: service: { name = "${name}.service"; value = unit service; }) services);
  # systemd.unit(5), in the order in which nixpkgs writes it.
  unit = service: {
    requiredBy = service.requiredBy or [ ];
    wantedBy = service.wantedBy or [ ];
    text = ''
      [Unit]
      ${section ((service.unitConfig or { }) // { Description = service.description; } // ordering service)}

      [Service]
      ${section (service.serviceConfig or { })}
    '';
  };
  ordering = service: lib.filterAttrs (_: v: v != "") {
    After = words "after" service;
    Before = words "before" service;
    BindsTo = words "bindsTo" service;
    Requires = words "requires" service;
    OnFailure = words "onFailure" service;
  };
  words = name: service: lib.concatStringsSep " " (service.${name} or [ ]);
  section = set: lib.concatStringsSep "\n" (lib.mapAttrsToList
    (name: value: "${name}=${if builtins.isBool value then (if value then "true" else "false") else toString value}") set);
in
lib.evalModules { modules = [ nixos ] ++ modules; args = { inherit lib pkgs; modulesPath = toString ./.; }; }
