# A stand-in for pkgs, without anything that could be built: every name is a package with a path of its own, and the functions
# that NixOS's modules call return one. `names`: what the modules may mention. A script's or a file's path is its text, so that
# what is made of it can be read.
{ lib, names ? [ ], path ? ./. }:
let
  store = name: "/nix/store/00000000000000000000000000000000-${name}";
  outputs = [ "out" "bin" "dev" "lib" "man" "doc" "info" "fd" "ga" "su" "data" "debug" "kbd" "util-linux" "kmod" "gzip" ];
  package = name:
    let
      self = {
        type = "derivation";
        inherit name;
        pname = name;
        version = "1.0";
        inherit (platform) system;
        outPath = store name;
        drvPath = store name + ".drv";
        outputName = "out";
        outputs = [ "out" ];
        all = [ self ];
        meta = { mainProgram = name; platforms = [ platform.system ]; available = true; description = name; };
        passthru = { };
        shellPath = "/bin/${name}";
        override = _: self;
        overrideAttrs = _: self;
        __toString = self: self.outPath;
        stdenv = stdenv;
      } // builtins.listToAttrs (map (output: { name = output; value = self; }) outputs);
    in self;
  text = name: content: package name // { text = content; };
  readable = name: content: package name // { text = content; outPath = "${store name}{${content}}"; };
  named = kind: arguments: package (arguments.name or kind);
  set = _: builtins.listToAttrs (map (name: { inherit name; value = package name; }) packages);
  # `with pkgs;` must leave lib's functions where they are.
  packages = builtins.filter (name: !(lib ? ${name}) && !(builtins ? ${name})) names;

  platform = (if lib ? systems then lib.systems.elaborate "x86_64-linux" else { system = "x86_64-linux"; })
    // { isx86_64 = true; isx86 = true; };
  stdenv = package "stdenv" // {
    hostPlatform = platform;
    buildPlatform = platform;
    targetPlatform = platform;
    cc = package "gcc" // { libc = package "glibc"; };
    mkDerivation = named "derivation";
    shell = "/bin/sh";
    inherit (platform) system;
    isLinux = true;
    isx86_64 = true;
    isDarwin = false;
  };
  kernel = package "linux" // rec {
    version = "6.12.1";
    modDirVersion = version;
    kernelOlder = lib.versionOlder version;
    kernelAtLeast = lib.versionAtLeast version;
    config = lib.genAttrs [ "isEnabled" "isYes" "isModule" "isSet" "isNo" ] (name: _: name != "isNo");
    features = { };
    commonMakeFlags = [ ];
    inherit stdenv;
    target = "bzImage";
    isZen = false;
    isHardened = false;
    buildDTBs = false;
  };
  linuxPackages = set "linux" // { inherit kernel; extend = _: linuxPackages; };
  format = _: { type = lib.types.attrsOf lib.types.anything; generate = name: value: text name (builtins.toJSON value); };
  python = package "python3" // {
    pkgs = set "python" // { buildPythonApplication = named "python"; };
    withPackages = _: package "python3-env";
    interpreter = "/bin/python3";
  };
  pkgs = set "packages" // {
    _type = "pkgs";
    inherit lib stdenv linuxPackages path;
    stdenvNoCC = stdenv;
    inherit (platform) system;
    linuxPackages_latest = linuxPackages;
    linuxPackagesFor = _: linuxPackages;
    config = { allowUnfree = false; allowAliases = true; };
    overlays = [ ];
    hostPlatform = platform;
    buildPlatform = platform;
    appendOverlays = _: pkgs;
    extend = _: pkgs;

    writeText = readable;
    writeScript = readable;
    writeShellScript = text;
    writeScriptBin = text;
    writeShellScriptBin = text;
    writeTextFile = arguments: text arguments.name arguments.text;
    writeTextDir = place: text (baseNameOf place);
    writeShellApplication = arguments: text arguments.name arguments.text;
    runCommand = name: _: text name;
    runCommandLocal = name: _: text name;
    runCommandCC = name: _: text name;
    callPackage = _: _: package "called";
    callPackages = _: _: { };
    linkFarm = name: _: package name;
    concatText = name: _: package name;
    makeSetupHook = arguments: _: named "hook" arguments;
    replaceVars = _: _: package "replaced";
    formats = builtins.listToAttrs (map (name: { inherit name; value = format; }) [
      "json" "yaml" "toml" "ini" "iniWithGlobalSection" "keyValue" "gitIni" "libconfig" "hocon" "elixirConf" "lua" "php"
      "pythonVars" "javaProperties" "xml" "systemd" "cdn" "nixConf"
    ]);

    systemd = package "systemd" // { interfaceVersion = 256; version = "256"; }
      // lib.genAttrs (map (name: "with" + name) [
        "Hostnamed" "Timesyncd" "Resolved" "Networkd" "Logind" "Machined" "Importd" "Homed" "Oomd" "Portabled" "Timedated"
        "Localed" "Coredump" "Cryptsetup" "UserDb" "Bootloader" "Efi" "Tpm2Tss" "Ukify" "Repart" "Sysupdate" "Audit" "VConsole"
        "Compression" "Tpm2Units" "SysupdateUnits" "Bootloader" "Nspawn"
      ]) (_: true);
    OVMF = package "OVMF" // { firmware = store "OVMF/CODE.fd"; variables = store "OVMF/VARS.fd"; systemManagementModeRequired = false; fd = pkgs.OVMF; override = _: pkgs.OVMF; };
    OVMFFull = pkgs.OVMF;
    glibcLocales = package "locales" // { override = _: package "locales"; };
    nix = package "nix" // { version = "2.24.0"; };
    nixVersions = set "nix" // { stable = pkgs.nix; };
    python3 = python;
    python3Packages = python.pkgs;
    perl = package "perl" // { withPackages = _: package "perl-env"; pkgs = set "perl"; };
    bash = package "bash" // { shellPath = "/bin/bash"; };
    bashInteractive = package "bash-interactive" // { shellPath = "/bin/bash"; };
    runtimeShell = "/bin/sh";
    qemu_kvm = package "qemu-kvm";
    netcat = package "netcat";
    runvm = package "runvm";
    libxcrypt = package "libxcrypt" // { enabledCryptSchemeIds = [ "y" "6" ]; };
    pkgsBuildBuild = pkgs;
    pkgsBuildHost = pkgs;
    buildPackages = pkgs;
    pkgsStatic = pkgs;
    pkgsi686Linux = pkgs;
    __splicedPackages = pkgs;
    xorg = set "xorg";
    nixosTests = { };
  } // lib.genAttrs [
    "symlinkJoin" "buildEnv" "concatTextFile" "substituteAll" "replaceVarsWith" "substitute" "makeDesktopItem" "makeModulesClosure"
    "makeFontsConf" "makeFontsCache" "mkShell" "fetchurl"
  ] named // {
    makeInitrd = _: package "initrd";
    makeInitrdNG = _: package "initrd";
    closureInfo = _: package "closure-info";
    aggregateModules = _: package "kernel-modules";
  };
in
pkgs
