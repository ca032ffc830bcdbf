# Sourced by the provide-* scripts: one directory of the cache for each recipe, made once and whole or not at all.
#
#   cached NAME FILE...   prints the directory; when it isn't there, calls build() in an empty directory beside it, then renames.
#
# The directory's name holds a hash of the recipe (the FILEs and this one), so a change of either provides anew. Progress
# goes to stderr, for stdout carries the directory's path.

support=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
toolchain=$support/../../.toolchain
cache=${STAGE1_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/nixos-vm-stage1}

say() { echo "$*" >&2; }
die() { echo "${0##*/}: $*" >&2; exit 1; }

cached() {
    local name=$1 hash directory log begin=$SECONDS
    shift
    hash=$(cat "$support/cache.sh" "$@" | sha256sum | cut -c1-12)
    directory=$cache/$name-$hash
    if [ ! -d "$directory" ]; then
        mkdir -p "$cache"
        exec 8>"$cache/.lock-$name"
        flock --nonblock 8 || { say "$name: another run is making it, waiting"; flock 8; }
    fi
    if [ ! -d "$directory" ]; then
        say "$name: making it in $directory (once on this machine)"
        [ ! -e "$directory.part" ] || { chmod -R u+w "$directory.part" && rm -rf "$directory.part"; }
        mkdir "$directory.part"
        log=$cache/.log-$name
        # Not in an `if`: bash would switch errexit off inside.
        set +e
        (set -euo pipefail; cd "$directory.part"; build) 9>&2 >"$log" 2>&1 </dev/null
        local status=$?
        set -e
        if [ $status -ne 0 ]; then
            tail -n 25 "$log" | cut -c1-300 >&2
            die "$name could not be made (status $status); the whole log is $log; run the same command again to retry"
        fi
        mv "$directory.part" "$directory"
        say "$name: $((SECONDS - begin)) s"
    fi
    exec 8>&-
    echo "$directory"
}

# Within build(): stdout and stderr are the log's, so a line for the person who waits goes through descriptor 9.
progress() { echo "$*" >&9; }

# private_apt SUITE...: an apt state of our own in ./apt, over the machine's mirror; the system's apt is left alone.
# Afterwards "${apt[@]}" are apt-get's and apt-cache's options.
private_apt() {
    local mirror suite
    mirror=$("$toolchain/debian-mirror")
    mkdir -p apt/lists/partial apt/cache/archives/partial
    for suite; do
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
    done >apt/sources
    apt=(-q -o "Dir::Etc::sourcelist=$PWD/apt/sources" -o Dir::Etc::sourceparts=/dev/null
        -o "Dir::State::lists=$PWD/apt/lists" -o "Dir::Cache=$PWD/apt/cache"
        -o APT::Sandbox::User=root -o Debug::NoLocking=1)
    apt-get "${apt[@]}" update
    [ -n "$(ls apt/lists/*_Packages* 2>/dev/null)" ] || { echo "no package lists from $mirror for $*"; return 1; }
}

# unpack_packages: what apt-get brought into ./apt/cache/archives, unpacked here; then the apt state goes.
unpack_packages() {
    local archive
    for archive in apt/cache/archives/*.deb; do dpkg-deb -x "$archive" .; done
    rm -rf apt
}
