# Builds a derivation in its own virtual machine, like nixpkgs' vmTools.runInLinuxVM. The builder is root, runs alone, and has a
# tmpfs as its root. Obeys these attributes of the derivation: memSize, diskImage (/dev/vda), preVM and postVM (shell, on the
# host, in the build's directory) and QEMU_OPTS. xchg/ is the guest's /tmp/xchg, with saved-env before and in-vm-exit after.
# Unlike in vmTools, the guest's store is not the host's: what the builder writes to $out is copied to the host afterwards, with
# a NAR hash that both computed. So either preVM and postVM or the builder must make an output, not both.
#
#     runInLinuxVM = import ./run-in-linux-vm.nix {
#       inherit (pkgs) runvm; qemu = pkgs.qemu_kvm; shell = pkgs.runtimeShell; coreutils = pkgs.coreutils;
#       kernel = "${pkgs.linux}/bzImage"; modules = pkgs.linux.modules; inherit (pkgs.lib) overrideDerivation;
#     };
{ runvm      # bin/runvm, bin/stage1
, qemu       # bin/qemu-system-x86_64, bin/qemu-img
, shell      # a bash program
, coreutils  # bin/mkdir, bin/ln, on the host and in the guest
, kernel     # a file
, modules    # directory with lib/modules
, overrideDerivation ? (drv: change: derivation (drv.drvAttrs // change drv.drvAttrs))
, needsKvm ? true
, flags ? ""  # extra arguments for runvm
}:

let
  onHost = ''
    # Nix 2.8 gives the file's path outside the sandbox.
    for attributes in "''${NIX_ATTRS_SH_FILE:-}" "$NIX_BUILD_TOP/.attrs.sh"; do
      if [ -e "$attributes" ]; then source "$attributes"; break; fi
    done
    ${coreutils}/bin/mkdir -p xchg
    export >xchg/saved-env
    diskImage=''${diskImage:-}
    eval "''${preVM:-}"
    cores=1
    [ -z "''${enableParallelBuilding:-}" ] || cores=''${NIX_BUILD_CORES:-1}
    [ "$cores" -le 4 ] || cores=4
    [ "$cores" -ge 1 ] || cores=1
    status=0
    USE_TMPDIR=1 ${runvm}/bin/runvm build --alone --in-place --kernel ${kernel} --modules ${modules} \
      --qemu ${qemu}/bin/qemu-system-x86_64 --memory ''${memSize:-512} --cores $cores ''${diskImage:+--disk "$diskImage"} ${flags} \
      -- ${shell} -ec "$inGuest" "$0" "$@" || status=$?
    [ $status -ne 0 ] || eval "''${postVM:-}"
    exit $status
  '';
  # vmTools' machine and Nix's sandbox have /bin/sh.
  inGuest = ''
    [ -e /bin/sh ] || { ${coreutils}/bin/mkdir -p /bin; ${coreutils}/bin/ln -s ${shell} /bin/sh; }
    exec "$@"
  '';
in
drv: overrideDerivation drv (attrs: {
  builder = shell;
  args = [ "-ec" "inGuest='${inGuest}'\n${onHost}" "run-in-linux-vm" attrs.builder ] ++ attrs.args or [ ];
} // (if needsKvm then { requiredSystemFeatures = attrs.requiredSystemFeatures or [ ] ++ [ "kvm" ]; } else { })
  // (if attrs ? memSize then { memSize = toString attrs.memSize; } else { }))
