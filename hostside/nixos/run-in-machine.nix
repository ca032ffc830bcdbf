# A derivation built inside a NixOS machine that has reached its target, as runInMachine of NixOS's testing did it: the builder has the
# machine's services around it, and runs as a build user with the environment that Nix would give it. Each output comes to the host
# afterwards, with a NAR hash that both computed.
#
#     runInMachine = import ./run-in-machine.nix {
#       inherit (pkgs) runvm; qemu = pkgs.qemu_kvm; shell = pkgs.runtimeShell; inherit (pkgs.lib) overrideDerivation;
#     };
#     runInMachine { drv = pkgs.hello; machine = nixos.config.system.build.toplevel; }
{ runvm  # bin/runvm, bin/stage1
, qemu   # bin/qemu-system-x86_64, bin/qemu-img
, shell  # a program, bash's
, overrideDerivation ? (drv: change: derivation (drv.drvAttrs // change drv.drvAttrs))
, needsKvm ? true
}:

{ drv
, machine             # a system
, description ? null  # of it, a file of runvm.json(5)'s, as of config.system.build.machineDescription
, memSize ? 1024
, after ? null        # a unit, or a command of the guest's; else multi-user.target, if there is a systemd
, user ? null         # of the guest's; else a build user
, flags ? ""          # more words for runvm
}:

let
  quote = text: "'${builtins.replaceStrings [ "'" ] [ "'\\''" ] (toString text)}'";
  option = name: value: if value == null then "" else "${name} ${quote value}";
  onHost = ''
    exec ${runvm}/bin/runvm build --in-place --toplevel ${machine} --qemu ${qemu}/bin/qemu-system-x86_64 \
      --memory ${toString memSize} ${option "--config" description} ${option "--after" after} ${option "--user" user} ${flags} -- "$@"
  '';
in
overrideDerivation drv (attrs: {
  builder = shell;
  args = [ "-ec" onHost "run-in-machine" attrs.builder ] ++ attrs.args or [ ];
} // (if needsKvm then { requiredSystemFeatures = attrs.requiredSystemFeatures or [ ] ++ [ "kvm" ]; } else { }))
