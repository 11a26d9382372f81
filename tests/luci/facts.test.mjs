// From what the program prints to what the pages show.

import assert from 'node:assert/strict';
import test from 'node:test';
import { router } from './stand_in.mjs';

const facts = router().load('homing.facts');
const NOW = Date.parse('2026-11-30T12:00:00Z');
const HOST = { host: 'dev1.example.com', provider: 'desec', ipv4: { set: null, since: null }, ipv6: { set: null, since: null },
	outcome: null, hold: null, refresh: null, expires: null };

function status(change, more = {}) {
	const whole = { version: 1, at: '2026-11-30T12:00:00Z', daemon: 'running', hosts: [ { ...HOST, ...change } ], services: [], ...more };
	return facts.status({ code: 0, stdout: JSON.stringify(whole) }, 0);
}

test('lengths of time are in the unit that says enough', () => {
	for (const [ seconds, words ] of [ [ 0, '0 seconds' ], [ 1, '1 second' ], [ 59, '59 seconds' ], [ 60, '1 minute' ], [ 90, '90 seconds' ],
		[ 119, '119 seconds' ], [ 120, '2 minutes' ], [ 3600, '1 hour' ], [ 7199, '119 minutes' ], [ 86400, '1 day' ], [ 172800, '2 days' ], [ -5, '0 seconds' ] ])
		assert.equal(facts.length(seconds), words);
	assert.equal(facts.ago(NOW + 5000, NOW), 'just now');
	assert.equal(facts.ahead(NOW - 5000, NOW), 'at any moment');
	assert.equal(facts.moment('yesterday'), null);
	assert.equal(facts.moment(null), null);
});

test('a record that is set, removed, left alone and not set are four things', () => {
	const records = status({ ipv4: { set: [ '192.0.2.7' ], since: '2026-11-27T12:00:00Z' }, ipv6: { set: [], since: '2026-11-30T10:00:00Z' } }).hosts[0].records;
	assert.deepEqual([ records[0].addresses, records[0].words ], [ [ '192.0.2.7' ], 'set 3 days ago' ]);
	assert.deepEqual([ records[1].addresses, records[1].words ], [ [], 'removed 2 hours ago' ]);
	const others = status({ ipv4: { set: null, since: null, off: true } }).hosts[0].records;
	assert.deepEqual(others.map(record => record.words), [ 'left alone', 'not set yet' ]);
});

test('a host waits, is rejected or is right, and says why and until when', () => {
	const hold = { reason: 'credential', words: 'the credential is refused', detail: 'HTTP 401', fix: 'write the right token' };
	const standing = change => status(change).hosts[0].standing;
	assert.deepEqual(standing({ outcome: 'rejected', hold: { ...hold, kind: 'rejected', until: null } }), { kind: 'rejected', words: 'The credential is refused.',
		detail: 'HTTP 401', fix: 'write the right token', next: 'Not tried again until it is fixed.', until: null });
	const waits = standing({ outcome: 'deferred', hold: { ...hold, kind: 'backoff', until: '2026-11-30T12:04:00Z' } });
	assert.deepEqual([ waits.kind, waits.next ], [ 'waits', 'Next try in 4 minutes.' ]);
	assert.equal(standing({ outcome: 'updated' }).kind, 'right');
	assert.equal(standing({}).words, 'Not updated yet.');
	assert.match(standing({ waiting: '2026-11-30T11:59:20Z' }).words, /turn since 40 seconds/);
	assert.equal(standing({ outcome: 'deferred' }).words, 'Will be tried in the next round.');
	// A version that has no words for it yet.
	assert.equal(standing({ outcome: 'rejected', hold: { kind: 'rejected', reason: 'credential', until: null } }).words, 'Credential.');
});

test('the end of a token is told, and a warning when it is near', () => {
	const notes = change => status(change).hosts[0].notes;
	assert.deepEqual(notes({ expires: '2026-12-10T12:00:00Z' }).map(note => [ note.warn, note.words ]), [ [ true, 'The token ends in 10 days.' ] ]);
	assert.equal(notes({ expires: '2027-11-30T12:00:00Z' })[0].warn, false);
	assert.equal(notes({ expires: '2026-11-29T12:00:00Z' })[0].words, 'The token ended 1 day ago.');
	assert.match(notes({ token: { rights: 'narrow', 'idle-end': '2026-12-02T12:00:00Z' } })[0].words, /in 2 days if it is not used/);
	assert.ok(notes({ token: { rights: 'too-powerful' } })[0].warn);
	assert.match(notes({ token: { rights: 'revoked', revoked: '2026-11-30T11:00:00Z' } })[0].words, /revoked 1 hour ago/);
	assert.equal(notes({ token: { rights: 'a-new-word' } })[0].words, 'a-new-word');
	assert.match(notes({ refresh: '2026-12-20T12:00:00Z' })[0].words, /again in 20 days/);
	assert.ok(notes({ verified: { wrong: 'ns1 holds another address' } })[0].warn);
});

test('hosts are counted by their standing', () => {
	const right = { ...HOST, outcome: 'updated' };
	const found = status({}, { hosts: [ right, right, HOST ] });
	assert.equal(found.count, '2 right, 1 waiting');
	assert.equal(status({}, { hosts: [] }).count, '');
});

test('moments are by the clock of the router, not of the browser', () => {
	const found = status({ expires: '2026-12-02T12:00:00Z' });
	assert.equal(found.hosts[0].notes[0].words, 'The token ends in 2 days.');
});

test('a stopped daemon and services asked last are told', () => {
	const stopped = status({}, { daemon: 'none', services: [ { service: 'https://a.example/', reason: 'unreachable', until: '2026-11-30T12:30:00Z' } ] });
	assert.equal(stopped.runs, false);
	assert.match(stopped.fix, /Save & Apply/);
	assert.match(stopped.services[0], /a\.example.*unreachable.*in 30 minutes/);
});

test('what went wrong is told in words with the fix', () => {
	const problem = done => facts.status(done, NOW).problem;
	assert.match(problem({ missing: true }).fix, /Install the package homing/);
	assert.match(problem({ refused: true }).fix, /luci-app-homing/);
	const off = problem({ code: 78, stderr: 'config.toml: there is no such file\n' });
	assert.match(off.what, /switched off/);
	assert.equal(off.said, 'config.toml: there is no such file');
	assert.match(problem({ code: 1, stdout: '<html>' }).what, /no answer/);
	assert.match(problem({ code: 0, stdout: '{"version":9}' }).what, /no answer/);
});

test('changes come newest first, and a program without a history says so', () => {
	const lines = [ { at: '2026-11-01T00:00:00Z', host: 'a', family: 'ipv4', old: [], new: [ '192.0.2.1' ], why: 'a-new-word' },
		{ at: '2026-11-02T00:00:00Z', host: 'a', family: 'ipv6', old: [ '2001:db8::1' ], new: [ '2001:db8::2', '2001:db8::3' ], why: 'gone' } ];
	const found = facts.history({ code: 0, stdout: lines.map(line => JSON.stringify(line)).join('\n{"torn\n') + '\n' }).changes;
	assert.deepEqual(found.map(change => [ change.family, change.before, change.after, change.why ]),
		[ [ 'IPv6', '2001:db8::1', '2001:db8::2, 2001:db8::3', 'This router has no such address any more.' ], [ 'IPv4', '', '192.0.2.1', 'a-new-word' ] ]);
	assert.deepEqual(facts.history({ code: 0, stdout: '' }).changes, []);
	assert.match(facts.history({ code: 75, stderr: 'cannot read it' }).problem.said, /cannot read it/);
	assert.match(facts.history({ code: 64, stderr: 'there is no command history' }).problem.what, /has no history/);
	assert.match(facts.history({ missing: true }).problem.fix, /Install/);
});

test('of the log, the lines of Homing are shown, newest first', () => {
	const text = 'Mon Nov 30 15:41:48 2026 daemon.info homing[12]: one\nMon Nov 30 15:41:49 2026 daemon.info dnsmasq[7]: homing[1]: no\n' +
		'Mon Nov  2 15:41:50 2026 daemon.warn homing: two: three\n';
	assert.deepEqual(facts.log(text), [ { when: 'Mon Nov  2 15:41:50 2026', level: 'warn', text: 'two: three' },
		{ when: 'Mon Nov 30 15:41:48 2026', level: 'info', text: 'one' } ]);
	assert.deepEqual(facts.log(''), []);
	assert.deepEqual(facts.log(undefined), []);
});

test('a check is right, wrong, or could not be made', () => {
	assert.deepEqual(facts.check({ code: 0, stdout: 'all right\n' }), { wrong: false, title: 'The settings are right', said: 'all right' });
	const wrong = facts.check({ code: 78, stderr: 'homing.dev1.zone: is needed\n' });
	assert.deepEqual([ wrong.wrong, wrong.said ], [ true, 'homing.dev1.zone: is needed' ]);
	for (const done of [ { missing: true }, { refused: true }, { error: 'XHR request timed out' } ])
		assert.ok(facts.check(done).wrong && facts.check(done).said);
});
