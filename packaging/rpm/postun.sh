# After an upgrade what was running goes on as the new one. What the administrator wrote stays, as it
# does with every package; an empty directory goes.
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload || :
    if [ "$1" -ge 1 ]; then
        systemctl try-restart homing.service homing-once.timer || :
    fi
fi
if [ "$1" -eq 0 ] && [ -d /etc/homing ]; then
    rmdir --ignore-fail-on-non-empty /etc/homing
fi
exit 0
