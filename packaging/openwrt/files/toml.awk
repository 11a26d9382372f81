# Turns /etc/config/homing, as uci.awk has read it, into Homing's own configuration.
#
# Owns the names and types of all options; what a value means is Homing's to judge. Prints the
# configuration, or every problem on standard error and nothing else. Called by the init script as
# root, which also finds what it has to know in the file that HOMING_NEEDS names:
#
#   enabled 0|1, jail 0|1
#   programs 0|1    whether Homing runs any
#   state PATH      the directory of the state
#   ro PATH         to be seen in the jail
#   rw PATH         to be written in the jail
#   at LINE PLACE   the option that stands on that line of the configuration

BEGIN {
	# A test compares these with the keys that the program knows, and says which is missing or of another
	# shape.
	keys("homing", "text", "interval log log-format settle")
	keys("homing", "directory", "state-dir")

	keys("source", "text", "bind interface suffix suffix-mac")
	keys("source", "texts", "static stun web")
	keys("source", "number", "agree count prefix-length")
	keys("source", "flag", "allow-private prefer-temporary")
	keys("source", "file", "ca-file file")
	keys("source", "program", "command")
	keys("source", "resolvers", "dns")
	keys("source", "gateways", "gateway")

	keys("resolver", "text", "class name server type")

	keys("provider", "text", "algorithm api-url credential echo4 echo6 ipv4-parameter")
	keys("provider", "text", "ipv6-parameter leave note omit pace protocol query refresh")
	keys("provider", "text", "server title update-url zone")
	keys("provider", "text", "answers apex extends families glue item jwt key names page reach set-item sign timeout")
	keys("provider", "text", "tokens")
	keys("provider", "toml", "answer change commit create each find headers list options pair power remove")
	keys("provider", "toml", "login set ttl")
	keys("provider", "number", "batch secret-parts")
	keys("provider", "flag", "one-family plain-http")
	keys("provider", "file", "ca-file")

	keys("host", "text", "bind expires gone-after ipv4 ipv6 key-name password provider refresh token")
	keys("host", "text", "token-credential token-env username verify-timeout when-gone zone")
	keys("host", "texts", "name verify-servers")
	keys("host", "text", "zone-id")
	keys("host", "toml", "options")
	keys("host", "number", "ttl")
	keys("host", "flag", "strict-token take-over verify")
	keys("host", "file", "key-file password-file secret-file token-file")
	keys("host", "written", "path")
	keys("host", "program", "on-change")

	keys("report", "text", "ping ping-interval ping-service problem-after")
	keys("report", "file", "ping-file")
	keys("report", "program", "on-problem")
	keys("report", "written", "metrics-file status-page")
	keys("report", "toml", "notify")

	# Those of the package, of which the program knows nothing.
	keys("homing", "own", "enabled jail jail-mount jail-mount-rw migrate-ddns")
	keys("host", "own", "enabled")
	keys("source", "own", "name")
	keys("provider", "own", "name")

	split("1 on true yes enabled", words_on)
	for (i in words_on)
		truth[words_on[i]] = "true"
	split("0 off false no disabled", words_off)
	for (i in words_off)
		truth[words_off[i]] = "false"

	for (i = 1; i < 256; i++)
		byte[sprintf("%c", i)] = i
	for (i = 1; i < 32; i++)
		escape[sprintf("%c", i)] = sprintf("\\u%04X", i)
	escape["\177"] = "\\u007F"
	escape["\""] = "\\\""
	escape["\\"] = "\\\\"

	# Directories that many share: the jail must not get them whole.
	split("/etc/config /etc/init.d /tmp/run /usr/bin /usr/lib /usr/libexec /usr/sbin /usr/share /var/etc /var/lib /var/lock /var/log /var/run /var/state /var/tmp", shared)
	for (i in shared)
		crowded[shared[i]] = 1
}

function keys(kind, shape, list,    i, n, names) {
	n = split(list, names, " ")
	for (i = 1; i <= n; i++) {
		# Option names in UCI have no hyphens.
		gsub(/-/, "_", names[i])
		shapes[kind, names[i]] = shape
		all[kind] = all[kind] (all[kind] == "" ? "" : ", ") names[i]
	}
}

END {
	if (quoted)
		complain("homing", "the last value has no closing quote")
	count = 0
	jail = "true"
	enabled = "true"
	for (s = 1; s <= section; s++) {
		if (type[s] == "homing" && !main)
			main = s
		else if (type[s] == "homing")
			complain(path_of(s), "is a second `config homing`; keep one of them")
		else if (type[s] == "resolver")
			resolver[name[s]] = s
		else if (type[s] == "report" && !reports)
			reports = s
		else if (type[s] == "report")
			complain(path_of(s), "is a second `config report`; keep one of them")
		else if (type[s] != "source" && type[s] != "provider" && type[s] != "host")
			complain(path_of(s), "is of no type that Homing knows; there are: homing, host, provider, report, resolver, source")
	}
	if (main) {
		enabled = own_flag(main, "enabled", "true")
		jail = own_flag(main, "jail", "true")
		own_flag(main, "migrate_ddns", "false")
	}

	write("# Made from /etc/config/homing; changes here are lost.")
	write("[daemon]", main ? path_of(main) : "homing")
	if (main)
		settings(main)
	if (!state) {
		state = "/etc/homing/state"
		write("state-dir = " quote(state))
	}
	# To procd, all that comes by standard error is an error.
	if (!(("homing", "log-format") in given))
		write("log-format = \"syslog\"")
	# What the jail shows in any case.
	is_like_another("/var/run/homing")
	is_like_another("/etc/hosts")
	is_like_another(state, main ? path_of(main) ".state_dir" : "homing")
	for (s = 1; s <= section; s++)
		if (type[s] == "source" || type[s] == "provider")
			entry(s)
	if (reports) {
		write("")
		write("[report]", path_of(reports))
		settings(reports)
	}
	for (s = 1; s <= section; s++)
		if (type[s] == "host" && own_flag(s, "enabled", "true") == "true") {
			hosts++
			write("")
			write("[[host]]", path_of(s))
			settings(s)
		}
	if (!hosts)
		complain("homing", "no host is enabled; write a `config host` with a name and a provider")
	if (main)
		extra_mounts(main)
	print_needs()
	if (problems)
		exit 1
	for (i = 1; i <= lines; i++)
		print line[i]
}

function path_of(s) {
	return "homing." place[s]
}

function complain(where, what) {
	problems++
	# What begins with a verb has the option as its subject.
	print where (what ~ /^(the|no) / ? ": " : " ") what > "/dev/stderr"
}

function write(text, origin) {
	line[++lines] = text
	if (origin != "")
		origins[lines] = origin
}

# A named section.
function entry(s,    called) {
	called = get(s, "name")
	if (called == "")
		called = name[s]
	if (called == name[s] && unnamed[s])
		complain(path_of(s), "has no name; write it as `config " type[s] " 'NAME'`")
	write("")
	write("[" type[s] "." quote(called, path_of(s) ".name") "]", path_of(s))
	settings(s)
}

function settings(s,    i, shape, where, key) {
	for (i = 1; i <= options[s]; i++) {
		where = path_of(s) "." option[s, i]
		if (!((type[s], option[s, i]) in shapes)) {
			complain(where, "is not an option of `config " type[s] "`; there are: " all[type[s]])
			continue
		}
		shape = shapes[type[s], option[s, i]]
		if (shape == "own" || !values[s, i])
			continue
		key = option[s, i]
		gsub(/_/, "-", key)
		given[type[s], key] = 1
		write(key " = " shaped(s, i, shape, where), where)
	}
}

# The values of an option in TOML.
function shaped(s, i, shape, where,    v, n, text) {
	n = values[s, i]
	if (shape == "program") {
		if (n == 1 && value[s, i, 1] ~ /[ \t]/)
			complain(where, "holds blanks, and there is no shell to split it; write one `list` line for each word")
		else
			need_program(value[s, i, 1], where)
	}
	if (n > 1 && shape != "texts" && shape != "program" && shape != "resolvers" && shape != "gateways") {
		complain(where, "takes one value; keep one of its " n)
		return "0"
	}
	if (n > 1 || shape == "program") {
		text = "["
		for (v = 1; v <= n; v++)
			text = text (v > 1 ? ", " : "") one(value[s, i, v], shape, where)
		return text "]"
	}
	return one(value[s, i, 1], shape, where)
}

function one(text, shape, where) {
	if (shape == "flag")
		return flag(text, where)
	if (shape == "number")
		return number(text, where)
	if (shape == "gateways" && text in truth)
		return truth[text]
	if (shape == "resolvers" && text in resolver)
		return table(resolver[text])
	# A table or a list in TOML's own form; Homing checks it.
	if (shape == "toml" && text ~ /^[[{]/ && text !~ /\n/)
		return text
	if (shape == "directory")
		need_directory(text, where)
	if (shape == "file")
		need_file(text, "ro", where)
	if (shape == "written")
		need_file(text, "rw", where)
	return quote(text, where)
}

function flag(text, where) {
	if (text in truth)
		return truth[text]
	complain(where, "is neither on nor off; write '1' or '0'")
	return "0"
}

# A flag of the package.
function own_flag(s, wanted, otherwise,    text) {
	text = get(s, wanted)
	return text == "" ? otherwise : flag(text, path_of(s) "." wanted)
}

function number(text, where) {
	if (text ~ /^[0-9]+$/ && length(text) < 10) {
		# As text: to busybox, a number that begins with 0 is octal.
		sub(/^0+/, "", text)
		return text == "" ? "0" : text
	}
	complain(where, "is not a whole number")
	return "0"
}

# A `config resolver` in its place in a list.
function table(s,    i, text, key) {
	for (i = 1; i <= options[s]; i++) {
		if (!((type[s], option[s, i]) in shapes))
			complain(path_of(s) "." option[s, i], "is not an option of `config resolver`; there are: " all[type[s]])
		else if (values[s, i]) {
			key = option[s, i]
			text = text (text == "" ? " " : ", ") key " = " shaped(s, i, "text", path_of(s) "." key)
		}
	}
	return "{" text " }"
}

# TOML's basic string. What is not UTF-8 has no place in TOML.
function quote(text, where,    i, n, char, out, b, more, least, most) {
	n = length(text)
	for (i = 1; i <= n; i++) {
		char = substr(text, i, 1)
		b = byte[char]
		if (more) {
			if (b < least || b > most)
				return not_text(where)
			more--
			least = 128
			most = 191
		} else if (b > 127) {
			# RFC 3629, section 4: no overlong forms, no surrogates, nothing above U+10FFFF.
			if (b < 194 || b > 244)
				return not_text(where)
			more = b < 224 ? 1 : b < 240 ? 2 : 3
			least = b == 224 ? 160 : b == 240 ? 144 : 128
			most = b == 237 ? 159 : b == 244 ? 143 : 191
		}
		out = out (char in escape ? escape[char] : char)
	}
	if (more)
		return not_text(where)
	return "\"" out "\""
}

function not_text(where) {
	complain(where, "is not UTF-8 text; write it anew in UTF-8")
	return "\"\""
}

# Whether `text` is a path that the files between us and procd can hold.
function is_path(text, where,    i, char) {
	if (substr(text, 1, 1) != "/") {
		complain(where, "is not a whole path; begin it with /")
		return 0
	}
	for (i = 1; i <= length(text); i++) {
		char = substr(text, i, 1)
		if (byte[char] < 32 || byte[char] == 127) {
			complain(where, "holds a control character, which no path should")
			return 0
		}
		if (jail == "true" && index(" *?[\\:", char)) {
			complain(where, "holds a blank or one of * ? [ \\ :, and procd can show no such path in a jail; rename it, or write `option jail '0'` in `config homing`")
			return 0
		}
	}
	return 1
}

# Whether procd would take the path for another one in the jail: jshn, by which procd.sh writes its
# list, makes names of shell variables of them.
function is_like_another(path, where,    key) {
	key = path
	gsub(/[^A-Za-z0-9_]/, "_", key)
	if (jail == "true" && key in path_by && path_by[key] != path) {
		complain(where, "differs from another path in the jail only by characters that are neither letters nor digits, and procd takes one for the other; rename it, or write `option jail '0'` in `config homing`")
		return 1
	}
	path_by[key] = path
	return 0
}

function mount(how, path, where) {
	if (is_like_another(path, where))
		return
	if (!((how, path) in mounted)) {
		mounted[how, path] = 1
		mounts[++mount_count] = how " " path
	}
}

function need_directory(text, where) {
	state = "/"
	if (!is_path(text, where))
		return
	# The init script makes its last part.
	sub(/\/+$/, "", text)
	if (text != "")
		state = text
}

# The directory of the file is mounted, not the file: a file that is replaced would stay the old one
# in the jail.
function need_file(text, how, where,    i, slash) {
	if (!is_path(text, where) || jail != "true")
		return
	for (i = length(text); i > 1 && substr(text, i, 1) != "/"; i--)
		;
	slash = substr(text, 1, i - 1)
	if (slash !~ /^\/[^\/]+\/+[^\/]/ || slash in crowded) {
		complain(where, "lies in a directory that others share, which must not be seen from the jail; move it into one of its own, such as /etc/homing, or write `option jail '0'` in `config homing`")
		return
	}
	mount(how, slash, where)
}

function need_program(text, where) {
	programs = 1
	if (jail == "true" && is_path(text, where))
		mount("ro", text, where)
}

function extra_mounts(s,    i, v, how, where) {
	for (i = 1; i <= options[s]; i++) {
		how = option[s, i] == "jail_mount" ? "ro" : option[s, i] == "jail_mount_rw" ? "rw" : ""
		where = path_of(s) "." option[s, i]
		for (v = 1; how != "" && v <= values[s, i]; v++)
			if (jail == "true" && is_path(value[s, i, v], where))
				mount(how, value[s, i, v], where)
	}
}

function print_needs(    i, file) {
	file = ENVIRON["HOMING_NEEDS"]
	if (file == "")
		return
	print "enabled " (enabled == "true") > file
	print "jail " (jail == "true") > file
	print "programs " (programs + 0) > file
	print "state " state > file
	mounted["rw", state] = 1
	for (i = 1; i <= mount_count; i++)
		if (mounts[i] !~ /^ro / || !(("rw", substr(mounts[i], 4)) in mounted))
			print mounts[i] > file
	for (i = 1; i <= lines; i++)
		if (i in origins)
			print "at " i " " origins[i] > file
}
