# The stand-in's parser: libuci's grammar, with both kinds of quotes, backslashes outside of single
# ones, comments, and values over several lines. A second file is merged into the first.

{
	if (state == "" && !escaped)
		start_line()
	else
		word = word (escaped ? "" : "\n")
	escaped = 0
	scan($0)
}

function start_line() {
	count = 0
	begun = 0
	word = ""
}

function scan(line,    i, n, char) {
	n = length(line)
	for (i = 1; i <= n; i++) {
		char = substr(line, i, 1)
		if (state == "'") {
			if (char == "'")
				state = ""
			else
				word = word char
		} else if (state == "\"") {
			if (char == "\"")
				state = ""
			else if (char == "\\" && i == n)
				escaped = 1
			else if (char == "\\")
				word = word substr(line, ++i, 1)
			else
				word = word char
		} else if (char == "'" || char == "\"") {
			begun = 1
			state = char
		} else if (char == "\\") {
			begun = 1
			if (i == n)
				escaped = 1
			else
				word = word substr(line, ++i, 1)
		} else if (char == " " || char == "\t") {
			take()
		} else if (char == "#" && !begun) {
			break
		} else {
			begun = 1
			word = word char
		}
	}
	if (state == "" && !escaped) {
		take()
		statement()
	}
}

function take() {
	if (begun)
		words[++count] = word
	begun = 0
	word = ""
}

function fail(what) {
	print "uci: Parse error (" what ") at line " FNR ", byte 1" > "/dev/stderr"
	failed = 1
	exit 1
}

function is_name(text) {
	return text ~ /^[A-Za-z0-9_]+$/
}

function statement(    s, o) {
	if (!count || words[1] == "package")
		return
	if (words[1] == "config") {
		if (count < 2 || count > 3 || (count == 3 && !is_name(words[3])))
			fail("invalid character in name field")
		if (count == 3 && (words[3] in at)) {
			current = at[words[3]]
			return
		}
		current = s = ++sections
		type[s] = words[2]
		name[s] = count == 3 ? words[3] : sprintf("cfg%02x%04x", s, 4096 + s)
		at[name[s]] = s
		return
	}
	if (words[1] != "option" && words[1] != "list")
		fail("invalid command")
	if (!current || count < 2 || count > 3 || !is_name(words[2]))
		fail("invalid character in name field")
	s = current
	o = words[2]
	if (!((s, o) in kind)) {
		# An option with an empty value is none.
		if (words[1] == "option" && (count < 3 || words[3] == ""))
			return
		option[s, ++options[s]] = o
	}
	if (words[1] == "option") {
		kind[s, o] = "option"
		values[s, o] = 0
	} else if (kind[s, o] == "")
		kind[s, o] = "list"
	value[s, o, ++values[s, o]] = words[3]
	if (values[s, o] > 1)
		kind[s, o] = "list"
}

END {
	if (failed)
		exit 1
	if (state != "")
		fail("unterminated quote")
	split(target, path, /[.=]/)
	if (path[1] ~ /^@.*\[0\]$/) {
		sub(/^@/, "", path[1])
		sub(/\[0\]$/, "", path[1])
		for (s = sections; s; s--)
			if (type[s] == path[1])
				first = name[s]
		path[1] = first
	}
	if (action == "rename")
		name[at[path[1]]] = path[2]
	s = at[path[1]]
	if (action == "get") {
		if (!((s, path[2]) in kind))
			exit 1
		print value[s, path[2], 1]
		exit 0
	}
	print "package " package
	for (s = 1; s <= sections; s++) {
		print "\nconfig " type[s] " '" name[s] "'"
		for (i = 1; i <= options[s]; i++) {
			o = option[s, i]
			if (action == "delete" && name[s] == path[1] && o == path[2])
				continue
			for (v = 1; v <= values[s, o]; v++)
				print "\t" kind[s, o] " " o " " quoted(value[s, o, v])
		}
	}
	print ""
}

function quoted(text,    out, i) {
	while (i = index(text, "'")) {
		out = out substr(text, 1, i - 1) "'\\''"
		text = substr(text, i + 1)
	}
	return "'" out text "'"
}
