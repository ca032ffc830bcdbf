# A derivation built in a virtual machine of its own, as nixpkgs' vmTools.runInLinuxVM does it: the builder is root and all that
# runs, on a tmpfs; of the derivation's attributes memSize, diskImage (/dev/vda), preVM and postVM (shell, on the host, in the
# build's directory) and QEMU_OPTS are obeyed; xchg/ is the guest's /tmp/xchg, with saved-env before and in-vm-exit after.
# Otherwise than there the guest's store is not the host's: what the builder makes of $out comes to the host afterwards, with a
# NAR hash that both computed, so an output is made either by preVM and postVM or by the builder.
#
#     runInLinuxVM = import ./run-in-linux-vm.nix {
#       inherit (pkgs) runvm; qemu = pkgs.qemu_kvm; shell = pkgs.runtimeShell; coreutils = pkgs.coreutils;
#       kernel = "${pkgs.linux}/bzImage"; modules = pkgs.linux.modules; inherit (pkgs.lib) overrideDerivation;
#     };
{ runvm      # bin/runvm, bin/stage1
, qemu       # bin/qemu-system-x86_64, bin/qemu-img
, shell      # a program, bash's
, coreutils  # bin/mkdir, bin/ln, on the host and in the guest
, kernel     # a file
, modules    # a directory with lib/modules
, overrideDerivation ? (drv: change: derivation (drv.drvAttrs // change drv.drvAttrs))
, needsKvm ? true
, flags ? ""  # more words for runvm
}:

let
  onHost = ''
    # Nix 2.8 names the file as it is outside the sandbox.
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
  # vmTools' machine has it, and so has Nix's sandbox.
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
