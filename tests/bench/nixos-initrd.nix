# What nixpkgs' own modules put into a systemd initrd for a virtual machine of nixos/modules/virtualisation/qemu-vm.nix: units, scripts, tables.
# `module`: hostside/nixos/qemu-vm.nix beside them, or null. `names`: what the modules mention, JSON, for the stand-in packages.
{ nixpkgs, libdir, names, module ? null, writableStore ? true, register ? false }:
let
  inherit (import ../nixos/nixpkgs.nix { inherit nixpkgs libdir names; }) lib nixos;
  inherit (nixos {
    label = "measured";
    modules = [
      (if module == null then nixpkgs + "/nixos/modules/virtualisation/qemu-vm.nix" else module)
      {
        boot.initrd.systemd.enable = true;
        virtualisation = { graphics = false; inherit writableStore; }
          // lib.optionalAttrs (module != null) { runvm = { inherit register; }; };
      }
    ];
  }) config;
  inherit (config.boot.initrd) systemd;
in
{
  units = lib.mapAttrs (_: u: u.text) (lib.filterAttrs (_: u: u.enable) systemd.units);
  # nixpkgs' generateUnits: which of systemd's own units there are, what overrides what, and the links.
  layout = systemd.contents."/etc/systemd/system".source.text;
  scripts = lib.filterAttrs (_: s: s != "") (lib.mapAttrs (_: s: s.script or "") systemd.services);
  files = lib.filterAttrs (_: t: t != null)
    (lib.mapAttrs (_: c: if c.enable then c.text or null else null) systemd.contents);
  storePaths = map (path: toString (path.source or path)) systemd.storePaths;
  parameters = config.boot.kernelParams;
}
