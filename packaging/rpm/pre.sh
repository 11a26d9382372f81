# The user that owns the configuration, before its file is unpacked. By hand: sysusers.d, which comes
# with the package, is not there yet, and rpm reads it by itself only from version 4.19 on.
getent group homing >/dev/null || groupadd -r homing
getent passwd homing >/dev/null ||
    useradd -r -g homing -d /var/lib/homing -s /sbin/nologin -c Homing homing
exit 0
