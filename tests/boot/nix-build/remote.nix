# Derivations for a machine that builds for the host: no host has this feature. The rest are store paths of the fixture; `meeting`
# and `busy` are directories of the guest.
{ bash, tools, busybox, name ? "one", late ? null }:
let
  path = builtins.storePath;
  # The last word is the shell's own: Nix kills a builder that closes its streams before it ends.
  make = name: script: derivation {
    inherit name;
    system = "x86_64-linux";
    builder = "${path bash}/bin/bash";
    PATH = "${path tools}/bin:${path busybox}/bin";
    args = [ "-euc" "${script}\nexit 0" ];
    requiredSystemFeatures = [ "in-a-machine" ];
  };
in
{
  one = make name "echo \"built under $(uname -n), $(cat /proc/1/comm)\" >$out; echo said";

  # What came into the host's store after the machine's boot, and is no copy.
  late = let file = builtins.path { name = "late"; path = late; }; in make "reader-${name}" ''
    [ ! -e /nix/.rw-store/upper/$(basename ${file}) ]
    cat ${file} >$out
  '';

  six = map
    (n: make "six-${toString n}" ''
      mkdir -p /tmp/meeting
      >/tmp/meeting/${toString n}
      until [ $(ls /tmp/meeting | wc -l) = 6 ]; do sleep 0.2; done
      echo ${toString n} >$out
    '') [ 1 2 3 4 5 6 ];

  failing = make "failing" "echo told; exit 3";

  endless = make "endless-${name}" "echo begun; >/tmp/shared/begun-${name}; sleep 1000";
}
