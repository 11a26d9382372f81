#!/bin/sh
# Installs Homing's static program, its manual pages, completions and systemd units; never a package's
# files, and never over a configuration.
#
#   ./install.sh                  from the unpacked release archive that this script lies in
#   ./install.sh --from DIR|URL   from the archives and SHA256SUMS in a directory or at an address
#   ./install.sh --uninstall      removes what it installed; configuration and state stay
#   ./install.sh --prefix DIR     below DIR (default: /usr/local as root, else ~/.local)
#
# An archive is used only if its SHA-256 is the one in SHA256SUMS. Needs curl, wget or
# uclient-fetch to download, and sha256sum and tar in any case.
set -eu

# Filled in by packaging/release.
url=@URL@

say() { printf '%s\n' "$*"; }
fail() {
    printf 'install.sh: %s\n' "$1" >&2
    exit "${2-1}"
}
has() { command -v "$1" >/dev/null 2>&1; }

from='' prefix='' action=install
while [ $# -gt 0 ]; do
    case $1 in
    --from | --prefix)
        [ $# -ge 2 ] || fail "$1 needs a value" 64
        if [ "$1" = --from ]; then from=$2; else prefix=$2; fi
        shift
        ;;
    --uninstall) action=uninstall ;;
    -h | --help)
        sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
        exit
        ;;
    *) fail "unknown option $1; see install.sh --help" 64 ;;
    esac
    shift
done

is_root=no
[ "$(id -u)" -ne 0 ] || is_root=yes
if [ -z "$prefix" ]; then
    if [ $is_root = yes ]; then prefix=/usr/local; else prefix=${HOME:?HOME is not set}/.local; fi
fi
case $prefix in
/*) ;;
*) fail "--prefix needs an absolute path, not $prefix" 64 ;;
esac
# Units are for the whole system, so they are installed with the program that root's PATH finds.
units=no
if [ $is_root = yes ] && [ "$prefix" = /usr/local ] && [ -d /run/systemd/system ]; then units=yes; fi

# files DO: calls DO SOURCE TARGET MODE for each file that belongs to Homing.
files() {
    "$1" homing "$prefix/bin/homing" 755
    "$1" homing.1 "$prefix/share/man/man1/homing.1" 644
    "$1" homing.toml.5 "$prefix/share/man/man5/homing.toml.5" 644
    "$1" completions/homing.bash "$prefix/share/bash-completion/completions/homing" 644
    "$1" completions/_homing "$prefix/share/zsh/site-functions/_homing" 644
    "$1" completions/homing.fish "$prefix/share/fish/vendor_completions.d/homing.fish" 644
    for document in README.md config.example.toml LICENSE-MIT LICENSE-APACHE third-party.txt; do
        "$1" "$document" "$prefix/share/doc/homing/$document" 644
    done
    [ $units = yes ] || return 0
    for unit in homing.service homing-once.service homing-once.timer; do
        "$1" "systemd/$unit" "/etc/systemd/system/$unit" 644
    done
    "$1" systemd/sysusers.d/homing.conf /etc/sysusers.d/homing.conf 644
    "$1" systemd/tmpfiles.d/homing.conf /etc/tmpfiles.d/homing.conf 644
}

# A package's files are the package manager's.
for program in /usr/bin/homing /usr/sbin/homing; do
    if [ -e "$program" ] && [ "$program" != "$prefix/bin/homing" ]; then
        fail "$program is there already, from a package; upgrade or remove that one (apt, dnf, opkg or apk)"
    fi
done

remove_file() { rm -f "$2"; }
if [ $action = uninstall ]; then
    if [ $units = yes ]; then
        systemctl disable --now homing.service homing-once.timer >/dev/null 2>&1 || :
    fi
    files remove_file
    rm -rf "$prefix/share/doc/homing/contrib"
    [ $units = no ] || systemctl daemon-reload
    rmdir "$prefix/share/doc/homing" 2>/dev/null || :
    if [ $is_root = yes ]; then
        say "removed; configuration (/etc/homing) and state (/var/lib/homing) are still there"
    else
        say "removed; configuration and state are still there, and so is your line in \`crontab -e\`"
    fi
    exit
fi

# The archive's word for this machine's processor.
processor() {
    case $(uname -m) in
    x86_64 | amd64) echo x86_64 ;;
    aarch64 | arm64) echo aarch64 ;;
    armv7* | armv8l) echo armv7 ;;
    # The sixth byte of a program (EI_DATA of ELF) says whether the low byte comes first.
    mips*)
        if [ "$(dd if=/bin/sh bs=1 skip=5 count=1 2>/dev/null)" = "$(printf '\001')" ]; then echo mipsel; else echo mips; fi
        ;;
    *) fail "there is no program for $(uname -m); build one with cargo: see README.md" ;;
    esac
}

# fetch NAME DIRECTORY: copies or downloads one file of the release.
fetch() {
    case $from in
    *://*)
        if has curl; then
            curl --fail --silent --show-error --location --output "$2/$1" "$from/$1"
        elif has wget; then
            wget -q -O "$2/$1" "$from/$1"
        elif has uclient-fetch; then
            uclient-fetch -q -O "$2/$1" "$from/$1"
        else
            fail "downloading needs curl, wget or uclient-fetch; or download by hand and use --from DIR"
        fi || fail "cannot download $from/$1"
        ;;
    *) cp "$from/$1" "$2/$1" || fail "there is no $from/$1" ;;
    esac
}

[ "$(uname -s)" = Linux ] || fail "this is $(uname -s); the programs of a release are for Linux: use cargo install"
here=$(cd "$(dirname "$0")" && pwd)
if [ -z "$from" ] && [ -x "$here/homing" ]; then
    source=$here
else
    from=${from:-$url}
    case $from in
    '' | @*) fail "say where the release is: --from DIR or --from URL" 64 ;;
    esac
    has sha256sum || fail "verifying needs sha256sum"
    has tar || fail "unpacking needs tar"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' HUP INT TERM
    fetch SHA256SUMS "$work"
    kind=$(processor)
    # A release has one archive of each kind; its name holds the version.
    archive=$(sed -n "s/^[0-9a-f]\{64\} [ *]\(homing-[^ /]*-$kind-linux\.tar\.gz\)\$/\1/p" "$work/SHA256SUMS" | head -n 1)
    [ -n "$archive" ] || fail "the release at $from has no program for $kind"
    fetch "$archive" "$work"
    (cd "$work" && grep -F "  $archive" SHA256SUMS | sha256sum -c - >/dev/null 2>&1) ||
        fail "$archive is not what SHA256SUMS says: it was cut short or changed; nothing was installed"
    tar -xzf "$work/$archive" -C "$work" || fail "$archive cannot be unpacked"
    source=$work/${archive%.tar.gz}
fi
"$source/homing" --version >/dev/null 2>&1 ||
    fail "the program does not run on this machine ($(uname -m)); nothing was installed"

# Written beside its place and renamed: a program that is running can be replaced only so.
install_file() {
    mkdir -p "$(dirname "$2")" || fail "cannot make the directory of $2; run this as root, or with --prefix DIR"
    case $1 in
    systemd/*) sed "s:/usr/bin/homing:$prefix/bin/homing:" "$source/$1" ;;
    *) cat "$source/$1" ;;
    esac >"$2.new" || fail "cannot write $2; run this as root, or with --prefix DIR"
    chmod "$3" "$2.new"
    mv -f "$2.new" "$2"
}
files install_file
# The pages and scripts that README names.
contrib=$prefix/share/doc/homing/contrib
rm -rf "$contrib"
cp -r "$source/contrib" "$contrib"
chmod -R u=rwX,go=rX "$contrib"
say "installed: $("$prefix/bin/homing" --version | head -n 1) in $prefix/bin"

if [ $units = yes ]; then
    systemd-sysusers homing.conf
    systemd-tmpfiles --create homing.conf
    if [ ! -e /etc/homing/config.toml ]; then
        install -o homing -g homing -m 0600 "$source/config.toml" /etc/homing/config.toml
    fi
    systemctl daemon-reload
    systemctl try-restart homing.service
    say "next:"
    say "  sudo $prefix/bin/homing init     # asks for your host"
    say "  sudo $prefix/bin/homing check    # every mistake, and what would be sent"
    say "  sudo systemctl enable --now homing"
    exit
fi
case :$PATH: in
*:"$prefix/bin":*) ;;
*) say "note: $prefix/bin is not in your PATH" ;;
esac
# Root's configuration and state are where Homing looks for them.
options='' config=/etc/homing/config.toml state=''
if [ $is_root = no ]; then
    config=$HOME/homing/config.toml options=" --config $HOME/homing/config.toml"
    state=', and below [daemon] state-dir = "state"'
fi
say "next:"
# The router's programs have no `homing init`.
if "$prefix/bin/homing" init --help >/dev/null 2>&1; then
    say "  $prefix/bin/homing init$options     # asks for your host"
else
    say "  write your host into $config$state"
fi
say "  $prefix/bin/homing check$options    # every mistake, and what would be sent"
say "  crontab -e    # add this line:"
say "  */5 * * * *  $prefix/bin/homing --once$options"
