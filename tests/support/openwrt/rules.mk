# A stand-in for what OpenWrt's build gives a package's Makefile, for tests: `make` installs the
# package into $(ROOT), with the binary from $(PKG_INSTALL_DIR).

INCLUDE_DIR:=$(TOPDIR)
INSTALL_DIR:=install -d -m0755
INSTALL_BIN:=install -m0755
INSTALL_DATA:=install -m0644
INSTALL_CONF:=install -m0600
LN:=ln -sf

define BuildPackage
all: ; $(call Package/$(1)/install,$(ROOT))
endef
