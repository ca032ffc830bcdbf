# flake.nix and default.nix evaluated with a stand-in for nixpkgs: every output, and every attribute of the package.
{ repository }:
let
  lib = import ./standin/lib.nix;
  named = import ./packages.nix {
    inherit lib;
    names = [ "cli11" "fuse3" "liburing" "nlohmann_json" "sqlite" "util-linuxMinimal" "xz" "zlib" "zstd" "pkg-config" "e2fsprogs" "clang-tools" "coreutils" "linux" ];
  };
  llvmPackages = { lld = named.runCommand "lld" { } ""; };
  # A package that keeps what it was made with.
  made = attributes: named.runCommand attributes.pname { } "" // (attributes.passthru or { }) // { inherit attributes; };
  pkgs = named // {
    inherit llvmPackages;
    lib = lib // { sourceByRegex = place: _: toString place; overrideDerivation = drv: f: drv // f drv; };
    pkgsStatic = named // {
      e2fsprogs = named.e2fsprogs // { overrideAttrs = f: made (f { }); };
      stdenv = named.stdenv // { mkDerivation = made; };
      buildPackages = named // { inherit llvmPackages; };
    };
    mkShell = attributes: named.runCommand "shell" { } "" // { inherit attributes; };
  };
  flake = import (repository + "/flake.nix");
  outputs = flake.outputs { self = outputs; nixpkgs.legacyPackages.x86_64-linux = pkgs; };
  package = outputs.packages.x86_64-linux.default;
  module = outputs.nixosModules.default { lib = lib // { mkDefault = value: value; }; };
  attributes = package.attributes;
in
{
  inputs = builtins.attrNames flake.inputs;
  outputs = builtins.mapAttrs (_: set: builtins.attrNames (set.x86_64-linux or (if builtins.isAttrs set then set else { }))) outputs;
  package = {
    inherit (attributes) pname version installFlags preBuild LDFLAGS meta;
    libraries = map (input: input.name) attributes.buildInputs;
    mke2fs = (builtins.head attributes.buildInputs).attributes.installPhase;
  };
  app = outputs.apps.x86_64-linux.default.program;
  module = { imported = builtins.all builtins.pathExists module.imports; package = module.config.virtualisation.runvm.package.name; };
  builders = builtins.mapAttrs (_: built: builtins.concatStringsSep "\n" built.args) {
    inMachine = outputs.lib.runInMachine { drv = { args = [ ]; builder = "builder"; }; machine = "/system"; };
    inLinuxVM = outputs.lib.runInLinuxVM { args = [ ]; builder = "builder"; };
  };
  overlay = (outputs.overlays.default pkgs { }).runvm.name;
  shell = map (p: p.name) outputs.devShells.x86_64-linux.default.attributes.packages;
  check = outputs.checks.x86_64-linux.runs.text;
}
