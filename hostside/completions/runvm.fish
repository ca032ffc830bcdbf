# fish completion of runvm
set -l verbs run start stop status list console qmp logs config schema initrd
complete -c runvm -f -n "not __fish_seen_subcommand_from $verbs" -a "$verbs"
complete -c runvm -f -n '__fish_seen_subcommand_from stop status console qmp logs' -a '(runvm list 2>/dev/null | cut -f 1)'
for flag in --name --store --toplevel --kernel --modules --initrd --init --reg-info --stage1 --kernel-params --extra-modules --writable-store --writable-store-use-tmpfs --use-boot-loader --boot-disk --memory-size --cores --cpu --accelerator --graphics --resolution --disk-image --disk-size --empty-disk-images --drives --ephemeral --shared-dir --shared-directories --msize --restrict-network --forward-ports --vlans --node-number --timeout --allow-reboot --rng --balloon --vsock --program --options --networking-options --machine --disk-interface --guest-agent --sandbox --config --union --fresh --notify-ready --report --print --json
    complete -c runvm -n '__fish_seen_subcommand_from run start config initrd' -l (string replace -- '--' '' $flag) -F
end
