# Reads what `uci export` prints: sections with their options, values as they are.
#
# Owns UCI's quoting and nothing else. No value is ever given to a shell, and none is compared with
# a pattern: they may hold any byte but NUL. Comes before the programs that say what it all means.
#
# section      how many there are
# type[s]      the word after `config`
# name[s]      its name; uci makes one up for a section that has none
# unnamed[s]   whether it has done so
# place[s]     how people call it, as in `uci show`
# options[s]   how many options it has
# option[s, i] the name of one
# values[s, i] how many values it has; with `list` there may be several
# value[s, i, v]

{
	read_line($0)
}

function read_line(line,    char, end) {
	if (quoted)
		word = word "\n"
	for (;;) {
		if (quoted) {
			end = index(line, "'")
			if (!end) {
				word = word line
				return
			}
			word = word substr(line, 1, end - 1)
			line = substr(line, end + 1)
			quoted = 0
			continue
		}
		char = substr(line, 1, 1)
		if (char == "") {
			end_word()
			end_statement()
			return
		}
		if (char == " " || char == "\t") {
			end_word()
		} else {
			begun = 1
			if (char == "'")
				quoted = 1
			else if (char == "\\") {
				word = word substr(line, 2, 1)
				line = substr(line, 2)
			} else
				word = word char
		}
		line = substr(line, 2)
	}
}

function end_word() {
	if (begun)
		words[++count] = word
	word = ""
	begun = 0
}

function end_statement(    i, s) {
	if (count && words[1] == "config") {
		s = ++section
		type[s] = words[2]
		name[s] = words[3]
		i = of_type[words[2]]++
		# The names that uci makes up stand in no file.
		unnamed[s] = length(words[3]) == 9 && words[3] ~ /^cfg[0-9a-f]+$/
		place[s] = unnamed[s] ? "@" words[2] "[" i "]" : words[3]
	} else if (count && (words[1] == "option" || words[1] == "list")) {
		s = section
		if (!((s, words[2]) in known)) {
			known[s, words[2]] = ++options[s]
			option[s, options[s]] = words[2]
		}
		i = known[s, words[2]]
		if (words[1] == "option")
			values[s, i] = 0
		# To UCI, an empty option is one that is not there.
		if (count > 2 && words[3] != "")
			value[s, i, ++values[s, i]] = words[3]
	}
	count = 0
}

# The only value of an option, or the first of several; "" when it has none.
function get(s, wanted) {
	return (s, wanted) in known ? value[s, known[s, wanted], 1] : ""
}
