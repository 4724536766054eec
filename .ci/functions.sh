# Functions that the scripts in this folder share; they set $root and $temporary.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
temporary=$(mktemp -d)
chmod 755 "$temporary" # some tests give up the rights of root, and then read the checkout
trap 'rm -rf "$temporary"' EXIT

export MPLBACKEND=Agg
export HF_HUB_OFFLINE=1 # no test and no example may need the network
export PIP_QUIET=1

step() {
    printf '\n== %s (%d s so far)\n' "$*" "$SECONDS"
}

# Copy the files that git tracks or would track to $temporary/$1/checkout, and go there. The folder
# ../shared stays reachable, if there is one.
clean_copy() {
    mkdir -p "$temporary/$1/checkout"
    if [ -d "$root/../shared" ]; then
        ln -s "$(cd "$root/../shared" && pwd)" "$temporary/$1/shared"
    fi
    cd "$root"
    git ls-files -z --cached --others --exclude-standard |
        while IFS= read -r -d '' file; do
            if [ -e "$file" ]; then printf '%s\0' "$file"; fi # deleted, not yet committed
        done |
        tar -c -f - --null -T - | tar -x -f - -C "$temporary/$1/checkout"
    cd "$temporary/$1/checkout"
}
