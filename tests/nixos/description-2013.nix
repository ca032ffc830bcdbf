# The description that hostside/nixos/qemu-vm-2013.nix makes of its own defaults, without any NixOS.
{ module }:
let
  lib = import ./standin/lib.nix;
  pkgs = import ./packages.nix { lib = lib // { types = lib.types // { int = lib.types.raw; }; }; };
  made = import module {
    inherit pkgs;
    config = {
      networking.hostName = "old";
      system.build.toplevel = "/nix/store/00000000000000000000000000000000-nixos";
      virtualisation = builtins.mapAttrs (_: option: option.default or { options = option.options.default; })
        (removeAttrs made.options.virtualisation [ "runvm" ]) // { runvm.package = pkgs.runvm; };
    };
  };
in
{
  inherit (made.config.system.build) machineDescription;
  vm = made.config.system.build.vm.text;
}
