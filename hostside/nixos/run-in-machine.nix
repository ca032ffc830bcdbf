# Builds a derivation inside a NixOS machine that has reached its target, like runInMachine of NixOS's old test framework. The
# machine's services are available to the builder, which runs as a build user with the environment that Nix would give it. Each
# output is copied to the host afterwards, with a NAR hash that both computed.
#
#     runInMachine = import ./run-in-machine.nix {
#       inherit (pkgs) runvm; qemu = pkgs.qemu_kvm; shell = pkgs.runtimeShell; inherit (pkgs.lib) overrideDerivation;
#     };
#     runInMachine { drv = pkgs.hello; machine = nixos.config.system.build.toplevel; }
{ runvm  # bin/runvm, bin/stage1
, qemu   # bin/qemu-system-x86_64, bin/qemu-img
, shell  # a bash program
, overrideDerivation ? (drv: change: derivation (drv.drvAttrs // change drv.drvAttrs))
, needsKvm ? true
}:

{ drv
, machine             # a NixOS system
, description ? null  # a runvm.json(5) file for it, as in config.system.build.machineDescription
, memSize ? 1024
, after ? null        # a unit, or a command in the guest; default: multi-user.target if the system has systemd
, user ? null         # in the guest; default: a build user
, flags ? ""          # extra arguments for runvm
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
