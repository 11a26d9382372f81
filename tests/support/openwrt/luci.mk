# A stand-in for luci.mk of the feed luci, for tests: `make` installs the package into $(ROOT) and
# prints what it says of itself.

all:
	mkdir -p $(ROOT)/www
	cp -R htdocs/. $(ROOT)/www/
	cp -R root/. $(ROOT)/
	@echo 'title $(LUCI_TITLE)'
	@echo 'depends $(LUCI_DEPENDS)'
	@echo 'architecture $(LUCI_PKGARCH)'
