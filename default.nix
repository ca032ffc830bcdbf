# stage1 and runvm by nixpkgs' static toolchain: `nix-build`, or the package of flake.nix. It has been evaluated to a derivation, with the
# packages of nixpkgs of June 2024 but for cli11, liburing and QEMU (make test-flake); it was never built by Nix, because nothing of
# nixpkgs could be had built where this was written: what may need mending first is the list of static libraries.
{ pkgs ? import <nixpkgs> { } }:
let
  inherit (pkgs) lib;
  static = pkgs.pkgsStatic;

  # mke2fs as a function in a library, as .toolchain/build-sysroot makes it: its objects in one, with nothing but the entry
  # visible from outside.
  libmke2fs = static.e2fsprogs.overrideAttrs (old: {
    pname = "libmke2fs";
    outputs = [ "out" ];
    postInstall = "";
    doCheck = false;
    buildPhase = ''
      make -j$NIX_BUILD_CORES libs
      make -j$NIX_BUILD_CORES -C misc mke2fs
    '';
    installPhase = ''
      $LD -r -o mke2fs-main.o misc/{mke2fs,util,default_profile,mk_hugefiles,create_inode,create_inode_libarchive}.o lib/libsupport.a
      $OBJCOPY --redefine-sym main=mke2fs_main --keep-global-symbol=mke2fs_main mke2fs-main.o
      mkdir -p $out/lib
      $AR rcs $out/lib/libmke2fs.a mke2fs-main.o
    '';
  });

  # The topmost version of the changes.
  version = builtins.head (builtins.match ".*\n## ([0-9.]+).*" (builtins.readFile ./CHANGELOG.md));

  # What makes of a derivation one that is built in a machine (hostside/nixos/run-in-*.nix).
  host = {
    runvm = package;
    qemu = pkgs.qemu_kvm;
    shell = pkgs.runtimeShell;
    inherit (lib) overrideDerivation;
  };
  # Since 2025 the modules are an output of their own.
  guest = { inherit (pkgs) coreutils; kernel = "${pkgs.linux}/bzImage"; modules = pkgs.linux.modules or pkgs.linux; };

  package = static.stdenv.mkDerivation {
    pname = "runvm";
    inherit version;
    src = lib.sourceByRegex ./. [
      "Makefile" "CHANGELOG.md" "LICENSE" "README.md" "hostside.*" "mounts.*" "stage1.*" "unionfs.*" "tests" "tests/tests.mk"
    ];

    nativeBuildInputs = [ static.buildPackages.pkg-config static.buildPackages.llvmPackages.lld ];
    buildInputs = [
      libmke2fs
      static.cli11
      static.e2fsprogs
      static.fuse3
      static.liburing
      static.nlohmann_json
      static.sqlite
      static.util-linuxMinimal
      static.xz
      static.zlib
      static.zstd
    ];

    # The linker folds identical code, which GNU's doesn't.
    LDFLAGS = "-fuse-ld=lld";
    preBuild = ''
      makeFlagsArray+=(CXX="$CXX" PKG_CONFIG="$PKG_CONFIG --static" STATIC=-static)
    '';
    enableParallelBuilding = true;
    installFlags = [ "PREFIX=$(out)" ];
    dontStrip = true; # the Makefile has done it

    passthru = {
      nixosModule = ./hostside/nixos/qemu-vm.nix;
      runInMachine = import ./hostside/nixos/run-in-machine.nix host;
      runInLinuxVM = import ./hostside/nixos/run-in-linux-vm.nix (host // guest);
    };
    meta = {
      description = "Boots NixOS systems in QEMU: a launcher, and a static stage 1 for their initrd";
      mainProgram = "runvm";
      platforms = [ "x86_64-linux" ];
    };
  };
in
package
