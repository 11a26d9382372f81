'use strict';
'require baseclass';

// From what the program and the router print to what the pages show.
//
// Pure: takes texts and the time, returns values, and knows neither elements nor requests. Texts from
// the router stay texts: it is the pages that put them into text nodes.

// Units of a length of time, the longest first, in seconds.
var UNITS = [
	[ 86400, _('%d day'), _('%d days') ],
	[ 3600, _('%d hour'), _('%d hours') ],
	[ 60, _('%d minute'), _('%d minutes') ],
	[ 1, _('%d second'), _('%d seconds') ]
];

// From which number on a unit is used; below it, the next smaller one says more.
var LEAST = 2;

// How long before its end a token is worth a warning: as long as the program has it.
var WARNING = 14 * 86400;

var ENDS = /[.!?]$/;

// A line of the log: the moment, where it comes from and how grave it is, who wrote it, the text.
var LOG_LINE = /^(.{24}) \w+\.(\w+) homing(?:\[\d+\])?: (.*)$/;

// The words of `rights` in the status.
var RIGHTS = {
	'narrow': _('The token can do no more than it has to.'),
	'narrow-to-zone': _('The token can write all of its zone; this provider offers nothing narrower.'),
	'too-powerful': _('The token can do more than it has to; replace it by one for this name alone.'),
	'not-proven': _('It is not proven that the token can do no more than it has to.')
};

var FAMILIES = { ipv4: 'IPv4', ipv6: 'IPv6' };

// The words of `why` in the history; one of a newer version is shown as it is.
var WHYS = {
	first: _('It was never set.'),
	back: _('The address is back.'),
	changed: _('The address changed.'),
	unconfirmed: _('The last update was not confirmed.'),
	drifted: _('Somebody else had changed it.'),
	unverified: _('A name server of the zone did not have it.'),
	returned: _('The address was away and is back.'),
	gone: _('This router has no such address any more.'),
	refresh: _('It was sent again so that it does not expire.')
};

// `length` in seconds, in words.
function length(seconds) {
	var whole = Math.max(0, Math.round(seconds)), i, count;
	for (i = 0; i < UNITS.length; i++) {
		count = Math.floor(whole / UNITS[i][0]);
		if (count >= LEAST || i == UNITS.length - 1 || (count == 1 && whole % UNITS[i][0] == 0))
			return (count == 1 ? UNITS[i][1] : UNITS[i][2]).format(count);
	}
}

// The moment that `text` has in the form of RFC 3339, in milliseconds; null if it has none.
function moment(text) {
	var at = (typeof text == 'string') ? Date.parse(text) : NaN;
	return isNaN(at) ? null : at;
}

// `at` as seen from `now`, in words. A clock that was set may have put the past into the future.
function ago(at, now) {
	var seconds = (now - at) / 1000;
	return seconds < 1 ? _('just now') : _('%s ago').format(length(seconds));
}

function ahead(at, now) {
	var seconds = (at - now) / 1000;
	return seconds < 1 ? _('at any moment') : _('in %s').format(length(seconds));
}

function sentence(text) {
	return text == '' || ENDS.test(text) ? text : text + '.';
}

function capital(text) {
	return text.charAt(0).toUpperCase() + text.slice(1);
}

// What is set for one family.
function record(family, found, now) {
	var since = moment(found && found.since),
	    set = (found && Array.isArray(found.set)) ? found.set : null,
	    words;

	if (found && found.off)
		words = _('left alone');
	else if (set == null)
		words = _('not set yet');
	else if (set.length == 0)
		words = since == null ? _('removed') : _('removed %s').format(ago(since, now));
	else
		words = since == null ? '' : _('set %s').format(ago(since, now));

	return { family: family, addresses: set || [], words: words, since: since };
}

// Whether the host is right, and if not, why, until when, and what helps.
function standing(host, now) {
	var hold = host.hold, until = hold ? moment(hold.until) : null, next;

	if (hold) {
		if (hold.kind == 'rejected')
			next = until == null ? _('Not tried again until it is fixed.')
				: _('Not tried again until it is fixed, or %s.').format(ahead(until, now));
		else
			next = until == null ? '' : _('Next try %s.').format(ahead(until, now));

		return {
			kind: hold.kind == 'rejected' ? 'rejected' : 'waits',
			words: sentence(capital(hold.words || hold.reason || '')),
			detail: hold.detail || '',
			fix: hold.fix || '',
			next: next,
			until: until
		};
	}

	var plain = { kind: 'waits', words: '', detail: '', fix: '', next: '', until: null };
	var turn = moment(host.waiting);

	if (turn != null)
		plain.words = _('Waits for its turn since %s; the provider limits the pace.').format(length((now - turn) / 1000));
	else if (host.outcome == 'updated' || host.outcome == 'unchanged')
		plain.kind = 'right';
	else if (host.outcome == null)
		plain.words = _('Not updated yet.');
	else
		plain.words = _('Will be tried in the next round.');

	if (plain.kind == 'right')
		plain.words = _('Up to date.');

	return plain;
}

// What is known about the host's token, as sentences; `warn` says that a person should read them.
function token(host, now) {
	var end = moment(host.expires), known = host.token || {}, notes = [],
	    idle = moment(known['idle-end']), revoked = moment(known.revoked);

	if (known.rights == 'revoked' || revoked != null) {
		notes.push({ warn: true, words: revoked == null ? _('The token was revoked.')
			: _('The token was revoked %s.').format(ago(revoked, now)) });
		return notes;
	}

	if (end != null)
		notes.push({
			warn: end - now < WARNING * 1000,
			words: end <= now ? _('The token ended %s.').format(ago(end, now))
				: _('The token ends %s.').format(ahead(end, now)),
			at: end
		});

	if (idle != null)
		notes.push({ warn: idle - now < WARNING * 1000, words: _('The token ends %s if it is not used.').format(ahead(idle, now)), at: idle });

	if (known.rights)
		notes.push({ warn: known.rights == 'too-powerful', words: RIGHTS[known.rights] || known.rights });

	return notes;
}

// What else is worth a line.
function others(host, now) {
	var notes = [], refresh = moment(host.refresh), verified = host.verified;

	if (refresh != null)
		notes.push({ words: _('Sent again %s even if nothing changes.').format(ahead(refresh, now)), at: refresh });

	if (verified && verified.wrong)
		notes.push({ warn: true, words: sentence(capital(verified.wrong)) });
	else if (verified && verified.servers)
		notes.push({ words: _('The name servers of the zone have it (%d asked).').format(verified.servers) });

	return notes;
}

// The numbers of hosts by their standing, in words: "2 right, 1 waits".
function count(hosts) {
	var words = [ [ 'right', _('%d right') ], [ 'waits', _('%d waiting') ], [ 'rejected', _('%d rejected') ] ];
	return words.map(function(pair) {
		var number = hosts.filter(function(host) { return host.standing.kind == pair[0] }).length;
		return number ? pair[1].format(number) : '';
	}).filter(function(text) { return text != '' }).join(', ');
}

function parsed(text) {
	try {
		return JSON.parse(text);
	} catch (error) {
		return null;
	}
}

// What is wrong with a command that printed nothing of use: `what` happened, what the `fix` is, and
// what it `said`.
function problem(done) {
	var said = (done.stderr || done.stdout || done.error || '').trim();

	if (done.missing)
		return {
			what: _('The program /usr/bin/homing is not on this router.'),
			fix: _('Install the package homing, then load this page again.'),
			said: ''
		};

	if (done.refused)
		return {
			what: _('This login may not ask for it.'),
			fix: _('Log in as root, or grant the access "luci-app-homing" to this login.'),
			said: ''
		};

	if (done.code == 78)
		return {
			what: _('No settings are in force: Homing is switched off, or a setting is wrong.'),
			fix: _('Open "Settings", tick "Run Homing" and press "Save & Apply"; "Check" names every mistake.'),
			said: said
		};

	return {
		what: _('Homing gave no answer that this page understands.'),
		fix: _('Try again; if it lasts, the packages homing and luci-app-homing may be of different versions.'),
		said: said
	};
}

return baseclass.extend({
	length: length,
	moment: moment,
	ago: ago,
	ahead: ahead,

	// What `homing status --json` says, as rows of the overview, or the problem.
	status: function(done, now) {
		var status = done.stdout ? parsed(done.stdout) : null;

		if (!status || !Array.isArray(status.hosts))
			return { problem: problem(done) };

		// The router's clock, which the moments come from; the browser's may be another.
		if (moment(status.at) != null)
			now = moment(status.at);

		var hosts = status.hosts.map(function(host) {
			return {
				name: String(host.host),
				provider: String(host.provider),
				records: [ record('IPv4', host.ipv4, now), record('IPv6', host.ipv6, now) ],
				standing: standing(host, now),
				notes: token(host, now).concat(others(host, now))
			};
		});

		var services = (Array.isArray(status.services) ? status.services : []).map(function(service) {
			var until = moment(service.until);
			return _('The service %s failed or disagreed (%s), and is asked last.').format(service.service, service.reason) +
				(until == null ? '' : ' ' + _('That ends %s.').format(ahead(until, now)));
		});

		return {
			runs: status.daemon == 'running',
			words: status.daemon == 'running' ? _('Homing is running.') : _('Homing is not running: nothing is updated.'),
			fix: status.daemon == 'running' ? ''
				: _('Tick "Run Homing" in "Settings" and press "Save & Apply". If it is ticked, open "System", "Startup" and press "Start" at homing.'),
			count: count(hosts),
			hosts: hosts,
			services: services
		};
	},

	// What `homing history --json` says, one change a line, as a list that begins with the newest; or the
	// problem. Lines that cannot be read are left out.
	history: function(done) {
		// A command that the program does not know.
		if (done.code == 64)
			return { problem: { what: _('This version of Homing has no history.'), fix: _('Upgrade the package homing to see one.'), said: '' } };

		if (done.code != 0)
			return { problem: problem(done) };

		var changes = String(done.stdout || '').split('\n').map(parsed).filter(function(change) {
			return change != null && change.host;
		});

		return {
			changes: changes.map(function(change) {
				return {
					at: moment(change.at),
					host: String(change.host),
					family: FAMILIES[change.family] || String(change.family || ''),
					before: [].concat(change.old || []).join(', '),
					after: [].concat(change.new || []).join(', '),
					why: WHYS[change.why] || String(change.why || '')
				};
			}).reverse()
		};
	},

	// The lines of Homing in what `logread` prints, newest first. Others may hold its name as well.
	log: function(text) {
		return String(text || '').split('\n').map(function(line) {
			var found = line.match(LOG_LINE);
			return found ? { when: found[1], level: found[2], text: found[3] } : null;
		}).filter(function(line) { return line != null }).reverse();
	},

	// What `check` of the service said, and whether a setting is wrong.
	check: function(done) {
		if (done.missing)
			return { wrong: true, title: _('The service is not on this router'), said: _('Install the package homing, then load this page again.') };
		if (done.refused)
			return { wrong: true, title: _('Not allowed'), said: _('This login may look, but not change or check anything.') };
		if (done.error)
			return { wrong: true, title: _('The check did not end'), said: done.error };

		var said = [ done.stderr, done.stdout ].map(function(text) { return (text || '').trim() })
			.filter(function(text) { return text != '' }).join('\n');
		return {
			wrong: done.code != 0,
			title: done.code == 0 ? _('The settings are right') : _('A setting is wrong'),
			said: said || _('Nothing was said.')
		};
	}
});
