// The settings: every option of the router has a field, and secrets stay where they are.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { access, packageRoot, router } from './stand_in.mjs';

const options = router().load('homing.options');

// The options that the router's scripts know: { SECTION: { option: shape } }.
const known = {};
for (const [ , section, shape, keys ] of readFileSync(packageRoot + '../files/toml.awk', 'utf8').matchAll(/^\tkeys\("(\w+)", "(\w+)", "(.*)"\)$/gm))
	for (const key of keys.split(' '))
		(known[section] ??= {})[key.replaceAll('-', '_')] = shape;

const SECTIONS = () => ({
	main: { '.type': 'homing', enabled: '1' },
	dev1: { '.type': 'host', name: 'dev1.example.com', provider: 'desec', token: 'S3CRET-ONE' },
	box: { '.type': 'host', name: [ 'box.example.com' ], provider: 'dynu', username: 'me', password_file: '/etc/homing/box.password' },
	own: { '.type': 'host', name: 'own.example.com', provider: 'mine', token: 'S3CRET-TWO', enabled: '0' },
	mine: { '.type': 'provider', protocol: 'dyndns2', server: 'https://dyn.example.org' },
	lan6: { '.type': 'source', interface: 'br-lan' }
});

async function settings(more) {
	const here = router({ sections: SECTIONS(), devices: [ 'lo', 'br-lan', 'wan' ], ...more });
	await here.show('settings');
	const hosts = here.map().of('host');
	return { ...here, hosts, save: () => hosts.save.bind(hosts), stored: here.uci.stored };
}

test('every option of the router is on the page, with the shape that it has there', () => {
	assert.ok(Object.keys(known).length >= 5, 'the tables of toml.awk are not where this test looks');
	for (const [ section, all ] of Object.entries(known)) {
		assert.ok(options[section] && options.tabs[section], `options.js has no section ${section}; add it, and its form to settings.js`);
		const left = options.left[section] || {};
		for (const [ key, shape ] of Object.entries(all)) {
			const found = options[section].find(option => option.key == key);
			assert.ok(found || left[key], `options.js has no ${key} of ${section}; add it, or say in \`left\` why not`);
			assert.ok(!found || found.shape == shape, `${section}.${key} is of the shape ${shape}`);
		}
		for (const { key, tab } of options[section]) {
			assert.ok(key in all, `${section}.${key} is no option of the router`);
			assert.ok(options.tabs[section].some(([ name ]) => name == tab), `${section}.${key} is in no tab`);
		}
		for (const key of Object.keys(left))
			assert.ok(key in all, `${section}.${key} in \`left\` is no option of the router`);
	}
});

test('every option is a field, and every field has a title', async () => {
	const { map } = await settings();
	for (const section of Object.keys(known)) {
		const fields = map().of(section).children;
		for (const { key } of options[section])
			assert.equal(fields.filter(field => field.option == key).length, 1, `${section}.${key}`);
		for (const field of fields)
			assert.ok(field.title, `${section}.${field.option}`);
	}
});

test('only the options that a provider takes are shown', async () => {
	const { hosts } = await settings();
	const shown = id => hosts.children.filter(field => field.isActive(id)).map(field => field.option);
	const is = (id, has, not) => {
		has.forEach(option => assert.ok(shown(id).includes(option), `${id} ${option}`));
		not.forEach(option => assert.ok(!shown(id).includes(option), `${id} ${option}`));
	};
	is('dev1', [ '_secret', 'zone', 'strict_token' ], [ '_secret_file', 'username', 'path', 'key_file' ]);
	is('box', [ '_secret_file', 'username' ], [ '_secret', 'strict_token', 'path', 'zone_id' ]);
	is('own', [ '_secret', 'username', 'zone_id', 'ttl' ], [ '_secret_file' ]);
	hosts.field('provider').entered.dev1 = 'hosts-file';
	is('dev1', [ 'path' ], [ '_secret', '_secret_file', '_place', 'zone', 'verify' ]);
});

test('no secret comes into the page', async () => {
	const { hosts, page } = await settings();
	const field = hosts.field('_secret');
	assert.equal(field.password, true);
	for (const id of [ 'dev1', 'own' ]) {
		assert.equal(field.cfgvalue(id), null);
		const widget = field.renderWidget(id);
		assert.equal(widget.attributes.value, undefined);
		assert.equal(widget.attributes.placeholder, 'stored; write only to replace it');
	}
	// What the columns and the headings of the table show, and the page.
	const texts = [ 'dev1', 'own' ].flatMap(id => hosts.children.map(field => field.textvalue?.(id)?.textContent).concat(hosts.modaltitle(id)));
	assert.ok(!/S3CRET/.test(JSON.stringify(texts) + page.textContent));
	// Nor does one of the other fields hold it.
	for (const other of hosts.children)
		assert.ok(!/S3CRET/.test(JSON.stringify(other.cfgvalue('dev1') ?? '')), other.option);
});

test('a secret is kept when its field is left empty, and replaced in its own place', async () => {
	const { hosts, stored } = await settings(), before = JSON.stringify(stored.dev1);
	assert.deepEqual(hosts.save('dev1'), []);
	assert.equal(JSON.stringify({ ...stored.dev1, name: stored.dev1.name }), before);
	hosts.field('_secret').entered.dev1 = 'NEW';
	hosts.field('_secret').entered.own = 'NEW';
	assert.deepEqual([ hosts.save('dev1'), hosts.save('own') ], [ [], [] ]);
	assert.equal(stored.dev1.token, 'NEW');
	// A password written as token stays one: to the program they are the same.
	assert.deepEqual([ stored.own.token, stored.own.password ], [ 'NEW', undefined ]);
});

test('a secret that moves into a file is forgotten here, and the other way round', async () => {
	const { hosts, stored } = await settings();
	hosts.field('_place').entered.dev1 = 'file';
	assert.equal(hosts.save('dev1').length, 1, 'no file is named');
	hosts.field('_secret_file').entered.dev1 = '/etc/homing/dev1.token';
	assert.deepEqual(hosts.save('dev1'), []);
	assert.deepEqual([ stored.dev1.token, stored.dev1.token_file ], [ undefined, '/etc/homing/dev1.token' ]);
	hosts.field('_place').entered.box = 'here';
	assert.equal(hosts.save('box').length, 1, 'no password is written');
	hosts.field('_secret').entered.box = 'NEW';
	assert.deepEqual(hosts.save('box'), []);
	assert.deepEqual([ stored.box.password, stored.box.password_file ], [ 'NEW', undefined ]);
});

test('what a provider needs must be written', async () => {
	const { hosts } = await settings();
	hosts.field('provider').entered.dev1 = 'netcup';
	const wrong = hosts.save('dev1').join('\n');
	assert.match(wrong, /netcup needs this/);
	hosts.field('zone').entered.dev1 = 'example.com';
	hosts.field('username').entered.dev1 = '12345';
	// The token of deSEC is not told to netcup.
	assert.match(hosts.save('dev1').join('\n'), /password of the new provider/);
	hosts.field('_secret').entered.dev1 = 'key:password';
	assert.deepEqual(hosts.save('dev1'), []);
});

test('a file without settings gets the section that the switch is in, and no host loses its name', async () => {
	const here = router({ sections: { report: { '.type': 'host', provider: 'desec' } } });
	await here.show('settings');
	assert.equal(here.uci.stored.main['.type'], 'homing');
	assert.deepEqual(here.uci.stored.report, { '.type': 'host', provider: 'desec' });
	assert.equal(Object.values(here.uci.stored).filter(section => section['.type'] == 'report').length, 1);
});

test('after applying, the settings are checked once', async () => {
	const exec = () => ({ code: 78, stderr: 'homing.dev1.zone: <b>is</b> needed' });
	const here = router({ sections: SECTIONS(), exec });
	await here.show('settings');
	assert.deepEqual(here.commands, []);
	here.events['uci-applied']();
	const page = await here.show('settings');
	await new Promise(resolve => setImmediate(resolve));
	assert.deepEqual(here.commands, [ '/etc/init.d/homing check' ]);
	assert.match(page.textContent, /A setting is wrong.*homing\.dev1\.zone: <b>is<\/b> needed/);
	await here.show('settings');
	assert.equal(here.commands.length, 1);
});

test('of the settings, only those of Homing may be read and written', () => {
	assert.deepEqual([ access.read.uci, access.write.uci ], [ [ 'homing' ], [ 'homing' ] ]);
});
