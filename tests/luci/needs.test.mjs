// What hosts at a provider take and need, by the list that is made from the program's.

import assert from 'node:assert/strict';
import test from 'node:test';
import { router } from './stand_in.mjs';

const here = router(), needs = here.load('homing.needs'), options = here.load('homing.options');
const names = needs.all.map(provider => provider.name);

test('the list has every provider once, with what a host proves itself with', () => {
	assert.ok(names.length > 80 && new Set(names).size == names.length);
	for (const provider of needs.all) {
		assert.ok([ 'token', 'password', 'nothing' ].includes(provider.secret), provider.name);
		assert.ok(provider.title && provider.credential, provider.name);
		assert.equal(needs.secretOption(provider.name), provider.secret == 'token' ? 'token' : 'password');
	}
});

test('a pattern fits the names whose hosts may have the option, and unknown ones', () => {
	for (const { key } of options.host) {
		const pattern = needs.pattern(key);
		for (const name of names)
			assert.equal(pattern == null || pattern.test(name), needs.takes(name, key), `${name} ${key}`);
		assert.ok(pattern == null || pattern.test('my-own') && !pattern.test(''), key);
	}
	for (const name of names) {
		assert.equal(needs.pattern('_secret').test(name), needs.hasSecret(name), name);
		assert.ok(!needs.unknown().test(name));
	}
	assert.ok(needs.unknown().test('he-net') && needs.unknown().test('my.own'));
});

test('what known providers take is what their hosts may write', () => {
	for (const [ name, takes, not ] of [
		[ 'desec', [ 'zone', 'strict_token', 'when_gone', 'verify' ], [ 'username', 'ttl', 'options', 'path', 'take_over' ] ],
		[ 'dynu', [ 'username', 'zone' ], [ 'strict_token', 'ttl', 'zone_id' ] ],
		[ 'cloudflare', [ 'zone_id', 'options', 'ttl', 'take_over' ], [ 'username', 'path' ] ],
		[ 'hosts-file', [ 'path', 'ipv4', 'on_change' ], [ 'zone', 'bind', 'verify', 'username' ] ]
	]) {
		takes.forEach(option => assert.ok(needs.takes(name, option), `${name} ${option}`));
		not.forEach(option => assert.ok(!needs.takes(name, option), `${name} ${option}`));
	}
	assert.ok(needs.needs('dynu', 'username') && needs.needs('netcup', 'zone') && needs.needs('hosts-file', 'path'));
	assert.ok(!needs.needs('desec', 'zone') && !needs.needs('my-own', 'zone'));
	// What is needed is taken.
	for (const provider of needs.all)
		for (const key of (provider.needs || '').split(' ').filter(key => key))
			assert.ok(needs.takes(provider.name, key), `${provider.name} ${key}`);
});

test('what is said about each provider is text without gaps', () => {
	for (const name of [ ...names, '', 'my-own' ])
		for (const [ , text ] of needs.about(name))
			assert.ok(text && !/undefined|null|%[sd]/.test(text), `${name}: ${text}`);
	assert.equal(needs.page('desec'), 'https://desec.io/tokens');
	assert.equal(needs.page('my-own'), null);
});
