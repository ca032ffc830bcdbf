# NixOS by nixpkgs' own modules (`nixpkgs`, with `libdir`, its lib), without packages that could be built: those of packages.nix, which
# have all `names` that the modules mention (a file of JSON).
{ nixpkgs, libdir, names }:
let
  lib = import libdir;
  pkgs = import ./packages.nix { inherit lib; names = builtins.fromJSON (builtins.readFile names); path = nixpkgs; };
in
{
  inherit lib pkgs;
  nixos = { label, modules, packages ? pkgs }: import (nixpkgs + "/nixos/lib/eval-config.nix") {
    system = null;
    inherit lib;
    modules = modules ++ [{
      nixpkgs.pkgs = lib.mkForce packages;
      nixpkgs.hostPlatform = "x86_64-linux";
      system.stateVersion = "24.05";
      system.nixos.label = label;
      documentation.enable = false;
      documentation.nixos.enable = false;
    }];
  };
}
