# `system.build.vm` of a computer's configuration as `nixos-rebuild build-vm` takes it, by nixpkgs' own modules (`nixpkgs`, `libdir`), made of
# derivations that Nix builds. Of packages there are the few of which the script is made, from programs of the tests' fixture; the system that
# it starts is the fixture's (`system`), and the initrd is made before, of what the same modules say (tests/bench/nixos-initrd).
{ nixpkgs, libdir, names, programs, qemu, initrd, bash, tools, system, accelerator ? "tcg" }:
let
  real = import ./nixpkgs.nix { inherit nixpkgs libdir names; };
  inherit (real) lib;
  stored = builtins.storePath;
  # What is in the store already, as modules take a package.
  packaged = name: outPath: {
    type = "derivation";
    inherit name outPath;
    drvPath = outPath;
    outputName = "out";
    meta = { };
    __toString = self: self.outPath;
  };
  import_ = name: path: packaged name (builtins.path { inherit name path; });
  shell = "${stored bash}/bin/bash";
  build = name: attributes: script: derivation (removeAttrs attributes [ "meta" "passthru" ] // {
    inherit name;
    system = "x86_64-linux";
    builder = shell;
    # Nix kills a builder that has closed its output, which coreutils' programs do before they end: bash is the last.
    args = [ "-euc" "${script}\n:" ];
    PATH = "${stored tools}/bin:${stored bash}/bin";
  });
  file = mode: name: text: build name { inherit text; } ''printf %s "$text" >$out; chmod ${mode} $out'';
  runvm = import_ "runvm" programs;
  none = real.pkgs;
  pkgs = none // {
    runvm = none.runvm // runvm;
    appendOverlays = _: pkgs;
    __splicedPackages = pkgs;
    # The one place where NixOS makes a system.
    stdenvNoCC = none.stdenvNoCC // {
      mkDerivation = of: if lib.hasPrefix "nixos-system-" (of.name or "") then packaged of.name (stored system) else none.stdenvNoCC.mkDerivation of;
    };
    qemu_kvm = none.qemu_kvm // import_ "qemu" qemu;
    runtimeShell = shell;
    runCommand = name: if name == "nixos-vm" then build name else none.runCommand name;
    writeText = name: if name == "laptop.json" then file "644" name else none.writeText name;
    writeScript = name: if name == "run-nixos-vm" then file "755" name else none.writeScript name;
    closureInfo = { rootPaths }: build "closure-info" { exportReferencesGraph = lib.concatMap (path: [ "closure-${baseNameOf path}" path ]) rootPaths; }
      "mkdir $out; ${runvm}/bin/runvm reginfo --graph closure-* >$out/registration";
  };
  inherit (real.nixos {
    label = "built";
    packages = pkgs;
    modules = [
      # A computer: what its configuration says of disks must not be the machine's.
      ({ config, ... }: {
        fileSystems."/" = { device = "/dev/disk/by-uuid/5e1f7b5e-0f5c-4bb0-9d57-6d4d9ab1b1c1"; fsType = "btrfs"; };
        fileSystems."/boot" = { device = "/dev/disk/by-uuid/12CE-A600"; fsType = "vfat"; };
        networking.hostName = "laptop";
        boot.initrd.systemd.enable = true;
        virtualisation.vmVariant = {
          imports = [ ../../hostside/nixos/qemu-vm.nix ];
          config = {
            virtualisation = {
              graphics = false;
              memorySize = 512;
              diskSize = 512;
              directBoot.initrd = "${import_ "initrd" initrd}";
              runvm.register = true;
            };
          };
        };
      })
    ];
  }) config;
in
config.system.build.vm
