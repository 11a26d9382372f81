#!/bin/sh
# Called by the feed's tests with the package and its version, on the installed package.

[ "$1" = homing ] || exit 0

homing --version | grep -F "$2" || exit 1

directory="$(mktemp -d)" || exit 1
trap 'rm -rf "$directory"' EXIT
umask 077
awk -f /usr/lib/homing/uci.awk -f /usr/lib/homing/toml.awk > "$directory/config.toml" << 'EOF' || exit 1
package homing

config host 'home'
	option name 'home.example.com'
	option provider 'desec'
	option token 'it'\''s a "token"'
EOF
# 75: a host that has never been updated.
homing status --config "$directory/config.toml" --state-dir "$directory/state"
[ $? -eq 75 ]
