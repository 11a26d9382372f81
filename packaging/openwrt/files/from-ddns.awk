# Turns /etc/config/ddns of ddns-scripts, as uci.awk has read it, into sections of
# /etc/config/homing.
#
# Owns what the one's options mean to the other. Prints UCI; what cannot be carried over is told on
# standard error, one line each, never with a secret in it. Called by from-ddns, which gives it
#
# HOMING_DEVICES  lines of a logical interface and its device
# HOMING_TAKEN    names of sections that /etc/config/homing has already
# HOMING_INTERVAL the interval that stands there, if one does
# HOMING_MAIN     the name of its `config homing`

BEGIN {
	# The services that both know, and those that speak dyndns2 and that Homing does not know. These
	# lines and the words below are made from the program's tables (core/providers.toml, import/form.rs):
	# when they differ, a test of `import` prints how they must be.
	same("desec.io", "desec")
	same("all-inkl.com", "all-inkl")
	same("apertodns.com", "apertodns")
	same("apertodns.com-token", "apertodns")
	same("dnsomatic.com", "dnsomatic")
	same("do.de", "domain-offensive")
	same("dyn.com", "dyn.com")
	same("dyndns.org", "dyn.com")
	same("dyndns.it", "dyndns.it")
	same("dynu.com", "dynu")
	same("eurodns.com", "eurodns")
	same("he.net", "he.net")
	same("hosting.de", "hosting.de")
	same("infomaniak.com", "infomaniak")
	same("inwx.de", "inwx")
	same("joker.com", "joker")
	same("loopia.com", "loopia")
	same("loopia.se", "loopia")
	same("no-ip.com", "no-ip")
	same("noip.com", "no-ip")
	same("No-IP.com", "no-ip")
	same("NoIP.com", "no-ip")
	same("now-dns.com", "now-dns")
	same("nsupdate.info", "nsupdate.info")
	same("oray.com", "oray")
	same("ovh.com", "ovh")
	same("schokokeks.org", "schokokeks")
	same("simply.com", "simply")
	same("spdyn.de", "spdyn")
	same("strato.com", "strato")
	same("strato.de", "strato")
	same("udmedia.de", "udmedia")
	same("variomedia.de", "variomedia")
	same("xlhost.de", "xlhost")
	same("3322.org", "3322.org")
	same("cloudflare.com-v4", "cloudflare")
	same("digitalocean.com-v2", "digitalocean")
	same("porkbun.com-v3", "porkbun")
	same("hetzner.cloud", "hetzner")
	same("gandi.net", "gandi")
	same("godaddy.com-v1", "godaddy")
	same("duckdns.org", "duckdns")
	same("namecheap.com", "namecheap")
	same("afraid.org-v2-token", "freedns")
	same("dynv6.com", "dynv6")
	same("njal.la", "njalla")
	same("route53-v1", "route53")
	same("cloud.google.com-v1", "google")
	same("transip.nl", "transip")
	same("scaleway.com", "scaleway")
	same("servercow.de", "servercow")
	same("mythic-beasts.com-v2", "mythic-beasts")
	same("luadns.com-v1", "luadns")
	same("namesilo.com-v1", "namesilo")
	same("netcup.com", "netcup")
	same("ns1.com", "ns1")
	same("aliyun.com", "alidns")
	same("dnspod.cn-v3", "tencent")
	same("huaweicloud.com", "huawei")
	same("dnspod.cn", "dnspod")
	same("blazingfast.io", "blazingfast")
	same("beget.com", "beget")
	same("changeip.com", "changeip")
	same("core-networks.de", "core-networks")
	same("ddnss.de", "ddnss")
	same("ddo.jp", "ddo-jp")
	same("dnsexit.com", "dnsexit")
	same("dnshome.de", "dnshome")
	same("dnsmadeeasy.com", "dnsmadeeasy")
	same("dnsmax.com", "dnsmax")
	same("thatip.com", "thatip")
	same("dnsever.com", "dnsever")
	same("dondominio.com", "dondominio")
	same("duiadns.net", "duia")
	same("easydns.com", "easydns")
	same("goip.de", "goip")
	same("ipv64.net", "ipv64")
	same("moniker.com", "key-systems")
	same("mydns.jp", "mydns-jp")
	same("myonlineportal.net", "myonlineportal")
	same("regfish.de", "regfish")
	same("selfhost.de", "selfhost")
	same("sitelutions.com", "sitelutions")
	same("ydns.io", "ydns")
	same("zoneedit.com", "zoneedit")
	same("opendns.com", "opendns")
	other("afraid.org-basicauth", "freedns.afraid.org", "/nic/update")
	other("domopoli.de", "dyndns.domopoli.de", "/nic/update")
	# Their login is the host's own name.
	mark("he.net nsupdate.info spdyn", no_username)
	# They take a secret without a login.
	mark("cloudflare ddnss ddo-jp desec digitalocean dnsexit dnspod duckdns duia dynv6 freedns gandi godaddy hetzner ipv64 key-systems namecheap namesilo njalla ns1 porkbun regfish scaleway", is_token)
	# They want what this build leaves out: signed requests, or keys in a file.
	mark("alidns google huawei route53 tencent transip", left_out)
	# What a login is there, if not a login: the label in the zone that the domain is, the zone, or the first
	# part of the secret.
	mark("digitalocean gandi hetzner namecheap namesilo", is_label)
	mark("ns1 scaleway", is_zone)
	mark("godaddy porkbun", is_part)
	mark("dnspod", is_part)
	# Their records have a number or a label there.
	by_option["dnsmadeeasy"] = by_option["sitelutions"] = "record-id"
	by_option["opendns"] = "network"
	# The credential of ddns-scripts does not serve.
	mark("ddnss dnsexit gandi sitelutions", is_refused)
	# Names without a dot are in their domain.
	domain_of["ddo-jp"] = "ddo.jp"
	domain_of["duckdns"] = "duckdns.org"
	# They must be told the zone, which the scripts take for what follows the first dot.
	mark("netcup porkbun servercow", wants_zone)
	split("1 on true yes enabled", words_on)
	for (i in words_on)
		is_on[words_on[i]] = 1
	# What is about its logs, retries and look-ups, none of which Homing has in that form, and what
	# is read below.
	split("cacert check_interval check_interval_min check_unit dns_server domain enabled force_dnstcp force_interval force_ipversion force_unit interface ip_interface ip_network ip_source ip_url ip_script is_glue lookup_host password retry_count retry_interval retry_max_count retry_unit service_name update_script update_url upd_privateip use_api_check use_https use_ipv6 use_logfile use_syslog username bind_network", list)
	for (i in list)
		understood[list[i]] = 1
	split(ENVIRON["HOMING_TAKEN"], list, "\n")
	for (i in list)
		taken[list[i]] = 1
	taken[ENVIRON["HOMING_MAIN"]] = 1
	count = split(ENVIRON["HOMING_DEVICES"], list, "\n")
	for (i = 1; i <= count; i++)
		if (split(list[i], pair, " ") == 2)
			device[pair[1]] = pair[2]
	count = 0
	unit["seconds"] = 1
	unit["minutes"] = 60
	unit["hours"] = 3600
	unit["days"] = 86400
}

function mark(list, set,    i, parts) {
	split(list, parts, " ")
	for (i in parts)
		set[parts[i]] = 1
}

function same(theirs, ours) {
	provider_of[theirs] = ours
}

function other(theirs, server, path) {
	address_of[theirs] = server path
}

END {
	print "package homing"
	for (s = 1; s <= section; s++)
		if (type[s] == "ddns")
			takes_private = (get(s, "upd_privateip") != "" ? get(s, "upd_privateip") : get(s, "allow_local_ip")) in is_on
	# What is switched off must not be in the way of what is on.
	for (wanted = 1; wanted >= 0; wanted--)
		for (s = 1; s <= section; s++)
			if (type[s] == "service" && (get(s, "enabled") in is_on) == wanted)
				service(s)
	for (h = 1; h <= hosts; h++)
		print_host(h)
	if (shortest && ENVIRON["HOMING_INTERVAL"] == "") {
		print ""
		print "config homing " uci(ENVIRON["HOMING_MAIN"])
		option_of("interval", shortest "s")
	}
	print carried + 0 " of " services + 0 " services are carried over" > "/dev/stderr"
	if (held)
		print held " of the hosts " (held > 1 ? "are" : "is") " switched off until " (misses_more ? "what they miss is" : "the missing devices are") " written down" > "/dev/stderr"
}

function remark(s, what) {
	# What begins with a verb has the service as its subject.
	print "ddns." place[s] (what ~ /^(is|has) / ? " " : ": ") what > "/dev/stderr"
}

function service(s,    i, text, provider, host, v6, username, password, h, zone, extra, both) {
	services++
	text = get(s, "service_name")
	# Older versions end the names for IPv6 so.
	sub(/-ipv6$/, "", text)
	if (text in provider_of)
		provider = provider_of[text]
	else if (text in address_of)
		provider = provider_at(s, address_of[text])
	else if (text == "" || text == "custom")
		provider = own_provider(s)
	else
		remark(s, "is not carried over: Homing does not speak to the service " safe(text) "; `homing providers " safe(text) "` may show why")
	if (provider == "")
		return
	if (provider in left_out) {
		remark(s, "is not carried over: this build of Homing does not speak to " provider "; the full build does")
		return
	}
	if (provider in is_refused || provider == "cloudflare" && get(s, "username") != "Bearer") {
		remark(s, "is not carried over: the credential there does not work; `homing providers " provider "` shows which one does")
		return
	}
	v6 = get(s, "use_ipv6") in is_on
	username = get(s, "username")
	password = get(s, "password")
	host = get(s, "domain")
	i = index(host, "@")
	if (provider in is_label) {
		zone = host
		host = in_zone(username, zone)
	} else if (i && index(substr(host, i), ".")) {
		zone = substr(host, i + 1)
		host = in_zone(substr(host, 1, i - 1), zone)
	} else
		host = host_name(s)
	if (provider in is_zone)
		zone = username
	if (provider in is_part && username != "" && password != "")
		password = username (provider == "dnspod" ? "," : ":") password
	if (provider == "netcup" && password != "") {
		password = get(s, "param_enc") ":" password
		zone = get(s, "param_opt")
	}
	if (host != "" && !index(host, ".") && provider in domain_of)
		host = host "." domain_of[provider]
	if (host == "") {
		remark(s, "is not carried over: it names no host")
		return
	}
	if (provider in by_option) {
		if (host ~ /^[0-9]+$/) {
			remark(s, "is not carried over: its record is known there by its number alone; write a `config host` with the host's name")
			return
		}
		extra = "{ " by_option[provider] " = \"" host "\" }"
	}
	if (provider == "cloudflare" || provider == "blazingfast")
		extra = pairs(get(s, "param_opt"))
	if (password == "") {
		remark(s, "is not carried over: it has no password")
		return
	}
	if (zone == "" && provider in wants_zone) {
		zone = host
		if (host ~ /\..*\./)
			sub(/^[^.]*\./, "", zone)
	}
	if (provider in is_token || provider in no_username)
		username = ""
	else if (text == "apertodns.com-token")
		username = password
	# The two families of one name are two services there and one host here.
	if ((host, provider) in host_of) {
		h = host_of[host, provider]
		# A record has a token of its own there.
		both = provider == "freedns" && secret[h] != password
		if (both)
			password = v6 ? secret[h] " " password : password " " secret[h]
		if ((h, v6) in family || login[h] != username || !both && secret[h] != password || on[h] != wanted) {
			remark(s, "is left out: " safe(host) " at " safe(provider) " is there already")
			return
		}
		secret[h] = password
	} else {
		h = host_of[host, provider] = ++hosts
		called[h] = free_name(name[s])
		named[h] = host
		by[h] = provider
		login[h] = username
		secret[h] = password
		zone_of[h] = zone
		extra_of[h] = extra
		on[h] = wanted
	}
	carried++
	if (!is_host_name(host))
		hold(s, h, "its name is no host name; write another one as name", 1)
	family[h, v6] = source(s, h)
	if (get(s, "bind_network") != "")
		bind(s, h)
	refresh(s, h)
	interval(s)
	authority(s, h)
	for (i = 1; i <= options[s]; i++)
		if (!(option[s, i] in understood) && !(option[s, i] ~ /^param_/ && (provider == "netcup" || extra != "")))
			remark(s, "the option " option[s, i] " is not carried over")
}

# The name of the record `label` in `zone`.
function in_zone(label, zone) {
	if (zone == "")
		return ""
	return label == "" || label == "@" ? zone : label "." zone
}

# The ids in `text`, such as zone_id=1, as a table of options.
function pairs(text,    i, n, parts, key, out) {
	n = split(text, parts, " ")
	for (i = 1; i <= n; i++) {
		key = substr(parts[i], 1, index(parts[i], "=") - 1)
		if (key != "zone_id" && key != "service_id" || parts[i] !~ /^[a-z_]*=[A-Za-z0-9]+$/)
			continue
		out = out (out == "" ? "{ " : ", ") (key == "zone_id" ? "zone-id" : "service") " = \"" substr(parts[i], length(key) + 2) "\""
	}
	return out == "" ? "" : out " }"
}

# The name that is sent to the provider.
function host_name(s,    domain, lookup) {
	domain = get(s, "domain")
	lookup = get(s, "lookup_host")
	if (domain == "" || domain == lookup)
		return lookup
	# Some services take an account or a zone there.
	if (lookup != "" && domain !~ /^[A-Za-z0-9*._-]+$/) {
		remark(s, "has a domain that is no host name; lookup_host is taken")
		return lookup
	}
	if (domain ~ /^[A-Za-z0-9*._-]+$/)
		return domain
	return lookup
}

# Whether the program takes the name; one that it refuses would keep all hosts from being updated.
function is_host_name(text,    n, i, labels) {
	sub(/\.$/, "", text)
	n = split(text, labels, ".")
	for (i = 1; i <= n; i++) {
		if (i == 1 && labels[i] == "*" && n > 1)
			continue
		if (labels[i] !~ /^[A-Za-z0-9_-]+$/ || labels[i] ~ /^-|-$/ || length(labels[i]) > 63)
			return 0
	}
	return n && length(text) <= 253 && labels[n] !~ /^[0-9]+$|_/
}

function free_name(wanted,    n, text) {
	text = wanted
	for (n = 2; text in taken; n++)
		text = wanted "_" n
	taken[text] = 1
	return text
}

# The provider that a URL of the user's own describes; "" when that cannot be told.
function own_provider(s,    url, i, n, parts, rest, server, name_is_there, v, extra, has_login) {
	if (get(s, "update_script") != "") {
		remark(s, "is not carried over: it has an update_script of its own")
		return ""
	}
	url = get(s, "update_url")
	if (url == "") {
		remark(s, "is not carried over: it has neither a service_name nor an update_url")
		return ""
	}
	if (url !~ /^https?:\/\//) {
		remark(s, "is not carried over: its update_url is no web address")
		return ""
	}
	rest = substr(url, index(url, "://") + 3)
	i = index(rest, "?")
	server = i ? substr(rest, 1, i - 1) : rest
	rest = i ? substr(rest, i + 1) : ""
	has_login = substr(server, 1, 22) == "[USERNAME]:[PASSWORD]@"
	if (has_login)
		server = substr(server, 23)
	n = split(rest, parts, "&")
	for (i = 1; i <= n; i++) {
		if (parts[i] == "hostname=[DOMAIN]")
			name_is_there = 1
		else if (substr(parts[i], length(parts[i]) - 4) == "=[IP]")
			v = substr(parts[i], 1, length(parts[i]) - 5)
		else if (index(parts[i], "["))
			v = extra = "["
		else
			extra = extra (extra == "" ? "" : "&") parts[i]
	}
	if (index(server, "@") || !index(rest server, "[IP]")) {
		remark(s, "is not carried over: its update_url holds a login of its own, or no [IP]")
		return ""
	}
	if (url !~ /^https/)
		remark(s, "its server is asked by https now, because the password would be readable on the way")
	if (!has_login || !name_is_there || v == "" || v == "[" || index(server, "["))
		return described_at(s, server, n, parts, has_login)
	return provider_at(s, server, v, extra)
}

# The name of the provider that the address itself describes; "" where the address may hold a secret.
function described_at(s, server, n, parts, has_login,    i, text, key, has_secret) {
	for (i = 1; i <= n; i++) {
		key = substr(parts[i], 1, index(parts[i], "=") - 1)
		text = substr(parts[i], length(key) + 2)
		if (key !~ /^[A-Za-z0-9_-]+$/ || text !~ /^(\[(USERNAME|PASSWORD|DOMAIN|IP)\]|[a-z]*|[01])$/ || length(text) > 10 || text !~ /^\[/ && text != "" && key ~ /auth|key|pass|pw|secret|token/)
			break
		if (text == "[PASSWORD]")
			has_secret = 1
		server = server (i == 1 ? "?" : "&") parts[i]
	}
	text = server
	sub(/\?.*/, "", text)
	has_secret = has_secret || has_login || index(text, "[PASSWORD]")
	sub(/^[^\/]*/, "", text)
	# A path of short words without digits holds no secret.
	gsub(/\[[A-Z]*\]/, "", text)
	for (key = split(text, parts, "/"); key > 0 && length(parts[key]) < 14; key--)
		;
	if (i <= n || !has_secret || key || text ~ /[^a-z.\/_-]/ || server !~ /^[A-Za-z0-9.-]+(:[0-9]+)?\//) {
		remark(s, "is not carried over: its update_url may hold a secret, or is of an unknown form; write a `config provider` with protocol http")
		return ""
	}
	gsub(/\[USERNAME\]/, "{login}", server)
	gsub(/\[PASSWORD\]/, "{secret}", server)
	gsub(/\[DOMAIN\]/, "{host}", server)
	gsub(/\[IP\]/, "{address}", server)
	if (!((server, "http") in own)) {
		own[server, "http"] = free_name(name[s] "_provider")
		print ""
		print "config provider '" own[server, "http"] "'"
		option_of("protocol", "http")
		option_of("set", "{ get = \"https://" server "\" }")
		option_of("headers", has_login ? "[\"Authorization: Basic {basic}\"]" : "")
		option_of("answer", "{ updated = \"200\" }")
		if (!has_login && !index(server, "{login}"))
			no_username[own[server, "http"]] = 1
		remark(s, "every answer with the status 200 counts as a success, as with ddns-scripts; write the service's word in answer")
	}
	return own[server, "http"]
}

# The name of the provider that speaks dyndns2 there; without a parameter's name, the usual one.
function provider_at(s, address, parameter, extra,    text) {
	text = address SUBSEP parameter SUBSEP extra
	if (!(text in own)) {
		own[text] = free_name(name[s] "_provider")
		print ""
		print "config provider '" own[text] "'"
		option_of("protocol", "dyndns2")
		option_of("update_url", "https://" address)
		option_of("ipv4_parameter", parameter)
		option_of("ipv6_parameter", parameter)
		option_of("query", extra)
		# Each family had an update of its own.
		option_of("one_family", "1")
	}
	return own[text]
}

# The name of the source that the address comes from; "auto" for what the routes say. What cannot be
# carried over is never replaced by "auto", which would be another address.
function source(s, h,    kind, text, called) {
	kind = get(s, "ip_source")
	if (kind == "web") {
		text = get(s, "ip_url")
		if (get(s, "proxy") != "") {
			hold(s, h, "its address is the one that a web service saw behind a proxy, and Homing uses none; write ipv4 or ipv6", 1)
			return wanted_source(s)
		}
		if (text == "" || text ~ /^(http:\/\/)?checkip(v6)?\.dyndns\.(com|org)\/?$/) {
			remark(s, "the address comes from Homing's own choice: " (text == "" ? "the default ip_url" : "an ip_url without https") " could be forged")
			return "auto"
		}
		if (text !~ /^https:\/\//) {
			remark(s, "its ip_url is asked by https now, because an answer could be forged on the way")
			sub(/^http:\/\//, "", text)
			text = "https://" text
		}
		return new_source(s, "web", text)
	}
	if (kind == "interface") {
		text = get(s, "ip_interface")
		return new_source(s, "interface", text == "" ? "eth1" : text)
	}
	if (kind == "script") {
		text = get(s, "ip_script")
		if (text !~ /[^ \t]/) {
			hold(s, h, "it names no ip_script; write a `config source` with its command", 1)
			return wanted_source(s)
		}
		remark(s, "ip_script runs as the user homing now, in a jail; name whatever else it needs in jail_mount of the `config homing`")
		return new_source(s, "command", text)
	}
	if (kind != "" && kind != "network") {
		hold(s, h, "its ip_source is not known; write a `config source`", 1)
		return wanted_source(s)
	}
	text = get(s, "ip_network")
	if (text == "" || text == "wan" || text == "wan6")
		return "auto"
	if (text in device)
		return new_source(s, "interface", device[text])
	# Homing's own choice would be the address of another line, so the host waits. The network's name
	# stands where a source is missing, which is told as soon as somebody switches the host on.
	if (!(("network", text) in sources))
		sources["network", text] = free_name(text)
	called = sources["network", text]
	hold(s, h, "the device of its ip_network " safe(text) " is not known now; write a `config source` " safe(called) " with its device as interface")
	return called
}

# A name for a source that somebody has to write.
function wanted_source(s) {
	return free_name(name[s] "_source")
}

function new_source(s, key, text,    called, n, i, words) {
	if ((key, text) in sources)
		return sources[key, text]
	called = sources[key, text] = free_name(name[s] "_source")
	print ""
	print "config source '" called "'"
	if (key == "command" && text ~ /[|&;<>()$`"'*?~\\]/) {
		# ddns-scripts gives it to a shell.
		print "\tlist command '/bin/sh'"
		print "\tlist command '-c'"
		print "\tlist command " uci(text)
	} else if (key == "command") {
		n = split(text, words, " ")
		for (i = 1; i <= n; i++)
			print "\tlist command " uci(words[i])
	} else
		option_of(key, text)
	option_of("allow_private", takes_private ? "1" : "")
	return called
}

function bind(s, h,    text) {
	text = get(s, "bind_network")
	if (text in device)
		line_of[h] = device[text]
	else {
		hold(s, h, "the device of its bind_network " safe(text) " is not known now; write it as bind")
		line_of[h] = text
	}
}

# Leaves a host switched off that would go out by the wrong line, or have another address; `more` tells
# that it misses more than a device.
function hold(s, h, what, more) {
	if (more && on[h])
		misses_more = 1
	remark(s, "the host " called[h] " is switched off: " what ", and write enabled 1 in the host")
	if (on[h] && !(h in waits))
		held++
	waits[h] = 1
}

function seconds(s, what, unit_of, otherwise,    text, by) {
	text = get(s, what)
	by = get(s, unit_of)
	if (text !~ /^[0-9]+$/ || length(text) > 7)
		return ""
	# To busybox, a number that begins with 0 is octal.
	sub(/^0+/, "", text)
	return text * unit[by in unit ? by : otherwise]
}

function refresh(s, h,    time) {
	time = seconds(s, "force_interval", "force_unit", "hours")
	if (time == "")
		return
	if (time >= 86400)
		again[h] = time
	else if (time)
		remark(s, "force_interval is not carried over: Homing repeats what has not changed once a day at most")
	else
		remark(s, "force_interval 0 is not carried over: Homing does not end after an update")
}

function interval(s,    time, floor) {
	time = seconds(s, "check_interval", "check_unit", "minutes")
	if (!time)
		return
	# What ddns-scripts raises a shorter one to.
	floor = seconds(s, "check_interval_min", "check_unit", "minutes")
	floor = floor == "" ? 300 : floor < 10 ? 10 : floor
	time = time < floor ? floor : time > 86400 ? 86400 : time
	if (!shortest || time < shortest)
		shortest = time
}

function authority(s, h,    text) {
	text = get(s, "cacert")
	if (text == "" || text == "/etc/ssl/certs" || text == "/etc/ssl/certs/ca-certificates.crt")
		return
	if (text == "IGNORE") {
		remark(s, "cacert IGNORE is not carried over: Homing does not send a password to a server that it cannot verify")
		return
	}
	if (!(by[h] in trusted)) {
		trusted[by[h]] = 1
		print ""
		print "config provider '" (by[h] in taken ? by[h] : free_name(name[s] "_trust")) "'"
		option_of("name", by[h])
		option_of("ca_file", text)
	}
}

function print_host(h,    v4, v6) {
	print ""
	print "config host '" called[h] "'"
	option_of("enabled", h in waits ? 0 : on[h])
	print "\tlist name " uci(named[h])
	option_of("provider", by[h])
	option_of("username", login[h])
	option_of(by[h] in is_token ? "token" : "password", secret[h])
	option_of("zone", zone_of[h])
	option_of("options", extra_of[h])
	v4 = family[h, 0]
	v6 = family[h, 1]
	if (v4 != "auto")
		option_of("ipv4", v4 == "" ? "off" : v4)
	if (v6 != "auto")
		option_of("ipv6", v6 == "" ? "off" : v6)
	option_of("bind", line_of[h])
	if (h in again)
		option_of("refresh", again[h] "s")
}

function option_of(key, text) {
	if (text != "")
		print "\toption " key " " uci(text)
}

# In UCI's quotes.
function uci(text,    out, i) {
	while (i = index(text, "'")) {
		out = out substr(text, 1, i - 1) "'\\''"
		text = substr(text, i + 1)
	}
	return "'" out text "'"
}

# A word that may stand in the log.
function safe(text) {
	return text ~ /^[A-Za-z0-9._-]+$/ ? text : "with a strange name"
}
