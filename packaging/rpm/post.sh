# Gives the user its directories. Neither enabled nor started, whatever a system's presets say:
# without a host there is nothing that the daemon could do.
install -d -o homing -g homing -m 0700 /var/lib/homing
if [ "$1" -eq 1 ]; then
    chown homing:homing /etc/homing
    chmod 0700 /etc/homing
fi
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || :
fi
exit 0
