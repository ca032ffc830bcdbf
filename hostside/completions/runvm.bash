# bash completion of runvm
_runvm() {
    local word=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]}
    if ((COMP_CWORD == 1)); then
        mapfile -t COMPREPLY < <(compgen -W 'run start stop status list console qmp logs config schema initrd --help --version' -- "$word")
        return
    fi
    case $verb in
    stop | status | console | qmp | logs)
        mapfile -t COMPREPLY < <(compgen -W "$(runvm list 2>/dev/null | cut -f 1)" -- "$word") ;;
    run | start | config | initrd)
        if [[ $word == -* ]]; then
            mapfile -t COMPREPLY < <(compgen -W '--name --store --toplevel --kernel --modules --initrd --init --reg-info --stage1 --kernel-params --extra-modules --writable-store --writable-store-use-tmpfs --use-boot-loader --boot-disk --memory-size --cores --cpu --accelerator --graphics --resolution --disk-image --disk-size --empty-disk-images --drives --ephemeral --shared-dir --shared-directories --msize --restrict-network --forward-ports --vlans --node-number --timeout --allow-reboot --rng --balloon --vsock --program --options --networking-options --machine --disk-interface --guest-agent --sandbox --config --union --fresh --notify-ready --report --print --json' -- "$word")
        else
            compopt -o default
        fi ;;
    esac
}
complete -F _runvm runvm
