# Derivations that are built in machines, by hostside/nixos' wrappers. `programs`, `qemu`, `stay`: directories; the rest are store paths of
# the fixture.
{ programs, qemu, stay, bash, tools, kernel, system }:
let
  import_ = name: builtins.path { inherit name; path = { inherit programs qemu stay; }.${name}; };
  path = builtins.storePath;
  shell = "${path bash}/bin/bash";
  common = { inherit shell; runvm = import_ "programs"; qemu = import_ "qemu"; needsKvm = false; };
  inLinuxVM = import ../../../hostside/nixos/run-in-linux-vm.nix (common // {
    coreutils = path tools;
    kernel = "${path kernel}/bzImage";
    modules = path kernel;
    flags = "--accel tcg --module ext4";
  });
  inMachine = import ../../../hostside/nixos/run-in-machine.nix common;
  build = attrs: derivation ({ system = "x86_64-linux"; builder = shell; } // attrs);
in
{
  disk = inLinuxVM (build {
    name = "disk";
    outputs = [ "out" "log" ];
    PATH = "${path tools}/bin";
    memSize = 400;
    preVM = "diskImage=$PWD/disk.qcow2; ${import_ "qemu"}/bin/qemu-img create -q -f qcow2 $diskImage 64M";
    postVM = "echo \"after it: $(< xchg/note), $(< xchg/in-vm-exit)\" >&2";
    args = [ "-euc" ''
      mke2fs -q -t ext4 /dev/vda
      mkdir /disk $out
      mount /dev/vda /disk
      echo kept >/disk/file
      cp /disk/file "$out/a file"
      umount /disk
      echo "user $(id -u) in $PWD, beside $(cat /proc/1/comm)" >$log
      echo noted >/tmp/xchg/note
    '' ];
  });

  # What preVM made of an output is one.
  image = inLinuxVM (build {
    name = "image";
    PATH = "${path tools}/bin";
    preVM = "${path tools}/bin/mkdir $out; diskImage=$out/disk.qcow2; ${import_ "qemu"}/bin/qemu-img create -q -f qcow2 $diskImage 64M";
    args = [ "-euc" "mke2fs -q -t ext4 -L made /dev/vda" ];
  });

  structured = inMachine {
    machine = path system;
    flags = "--accel tcg --shared-directories stay=${import_ "stay"}:/tmp/shared:ro";
    drv = build {
      name = "structured";
      __structuredAttrs = true;
      list = [ "a b" "c" ];
      args = [ "-euc" ''
        source $NIX_ATTRS_SH_FILE
        PATH=${path tools}/bin
        printf '%s\n' "''${list[@]}" "user $(id -u) in $PWD, home $HOME" >''${outputs[out]}
      '' ];
    };
  };

  failing = inMachine {
    machine = path system;
    flags = "--accel tcg --shared-directories stay=${import_ "stay"}:/tmp/shared:ro";
    drv = build { name = "failing"; args = [ "-c" "echo told; exit 3" ]; };
  };
}
