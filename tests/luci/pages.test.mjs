// The pages that look: overview, log and history; and what they may ask of the router.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import test from 'node:test';
import { access, packageRoot, readText, router } from './stand_in.mjs';

const EVIL = '<img src=x onerror=alert(1)>';
const STATUS = { version: 1, at: '2026-11-30T12:00:00Z', daemon: 'running', services: [ { service: EVIL, reason: EVIL, until: null } ], hosts: [
	{ host: EVIL, provider: EVIL, ipv4: { set: [ EVIL ], since: '2026-11-30T11:00:00Z' }, ipv6: { set: null, since: null }, outcome: 'rejected',
		hold: { kind: 'rejected', reason: EVIL, words: EVIL, detail: EVIL, fix: EVIL, until: null }, refresh: null, expires: null,
		token: { rights: EVIL }, verified: { wrong: EVIL } } ] };

const answers = (status = STATUS) => line => ({
	'/usr/bin/homing status --json': { code: 77, stdout: JSON.stringify(status) },
	'/usr/bin/homing history --json': { code: 0, stdout: JSON.stringify({ at: '2026-11-30T12:00:00Z', host: EVIL, family: EVIL, old: [ EVIL ], new: [ EVIL ], why: EVIL }) },
	'/sbin/logread -e homing': { code: 0, stdout: `Mon Nov 30 15:41:48 2026 daemon.info homing[12]: ${EVIL}\n` },
	'/etc/init.d/homing round': { code: 0 },
	'/etc/init.d/homing check': { code: 78, stderr: EVIL }
})[line];

test('whatever the router says is shown as text', async () => {
	for (const [ name, times ] of [ [ 'overview', 9 ], [ 'log', 1 ], [ 'history', 4 ] ]) {
		const here = router({ exec: answers() }), page = await here.show(name);
		assert.ok(page.textContent.split(EVIL).length > times, `${name}: ${page.textContent}`);
		assert.equal(page.all('img').length, 0);
	}
	const here = router({ exec: answers() });
	await here.show('overview');
	await here.press('Check');
	assert.ok(here.modals[0].textContent.includes(EVIL));
});

test('the pages look again every few seconds', async () => {
	for (const [ name, command ] of [ [ 'overview', '/usr/bin/homing status --json' ], [ 'log', '/sbin/logread -e homing' ], [ 'history', '/usr/bin/homing history --json' ] ]) {
		const here = router({ exec: answers() });
		await here.show(name);
		assert.equal(here.polls.length, 1);
		assert.ok(here.polls[0].seconds >= 5 && here.polls[0].seconds <= 30);
		await here.polls[0].task();
		assert.deepEqual(here.commands, [ command, command ]);
	}
});

test('the button for an update asks the service, and says so', async () => {
	const here = router({ exec: answers() }), page = await here.show('overview');
	await here.press('Update now');
	assert.ok(here.commands.includes('/etc/init.d/homing round'));
	assert.match(page.textContent, /Homing looks for changes now/);
	const failing = router({ exec: line => line.endsWith('round') ? { code: 1, stderr: 'no procd' } : answers()(line) });
	const other = await failing.show('overview');
	await failing.press('Update now');
	assert.match(other.textContent, /could not be asked: no procd/);
});

test('a stopped daemon and a missing program are told with the fix', async () => {
	const stopped = router({ exec: answers({ ...STATUS, daemon: 'none' }) }), page = await stopped.show('overview');
	assert.match(page.textContent, /Homing is not running.*Startup/s);
	assert.ok(page.button('Update now').disabled && !page.button('Check').disabled);
	const missing = router({ exec: () => 'NotFoundError' });
	for (const name of [ 'overview', 'history' ])
		assert.match((await missing.show(name)).textContent, /Install the package homing/);
	assert.match((await missing.show('log')).textContent, /not on this router/);
	// What comes back is shown without loading the page again.
	let there = false;
	const returning = router({ exec: line => there ? answers()(line) : 'NotFoundError' }), later = await returning.show('overview');
	there = true;
	await returning.polls[0].task();
	assert.ok(!later.textContent.includes('Install') && !later.button('Update now').disabled);
});

test('a login that may only look cannot press anything', async () => {
	const here = router({ exec: answers(), reader: true }), page = await here.show('overview');
	assert.ok(page.button('Update now').disabled && page.button('Check').disabled);
	assert.ok(page.textContent.includes(EVIL), 'the status is shown all the same');
	await here.press('Update now');
	assert.match(page.textContent, /could not be asked/);
});

test('a program without a history says so', async () => {
	const here = router({ exec: () => ({ code: 64, stderr: 'there is no command history' }) });
	assert.match((await here.show('history')).textContent, /has no history/);
});

test('the access list has what the pages run, and nothing else', async () => {
	const here = router({ exec: answers(), devices: [ 'lo' ] }), run = here.load('homing.run');
	for (const name of [ 'status', 'history', 'log', 'round', 'check' ])
		await run[name]();
	const listed = { ...access.read.file, ...access.write.file };
	assert.deepEqual(Object.keys(listed).filter(name => listed[name].includes('exec')).sort(), here.commands.sort());
	assert.deepEqual(Object.keys(access.write.file).sort(), [ '/etc/init.d/homing check', '/etc/init.d/homing round' ]);
	assert.deepEqual(Object.keys(listed).filter(name => !listed[name].includes('exec')), [ '/sys/class/net' ]);
	assert.ok(!JSON.stringify(access).includes('*'), 'no pattern allows more than is named');
	assert.deepEqual(await run.devices(), []);
	// No page runs anything by itself.
	for (const file of readdirSync(packageRoot + 'htdocs/luci-static/resources/view/homing'))
		assert.ok(!/\bfs\b|\brpc\b/.test(readText('htdocs/luci-static/resources/view/homing/' + file).replace(/\/\/.*/g, '')), file);
});

test('each entry of the menu is a page that is there, and each page has one', () => {
	const menu = JSON.parse(readText('root/usr/share/luci/menu.d/luci-app-homing.json'));
	const views = Object.values(menu).filter(entry => entry.action.type == 'view').map(entry => entry.action.path + '.js');
	const there = readdirSync(packageRoot + 'htdocs/luci-static/resources/view/homing').map(name => 'homing/' + name);
	assert.deepEqual(views.sort(), there.sort());
	for (const [ path, entry ] of Object.entries(menu)) {
		assert.ok(path == 'admin/services/homing' || path.startsWith('admin/services/homing/'), path);
		assert.deepEqual(entry.depends.acl, [ 'luci-app-homing' ], path);
		assert.ok(entry.title && Number.isInteger(entry.order), path);
	}
});

test('the sources are such as LuCI\'s build can make smaller', () => {
	const root = 'htdocs/luci-static/resources/';
	const files = [ 'homing', 'view/homing' ].flatMap(directory => readdirSync(packageRoot + root + directory).map(name => `${directory}/${name}`));
	assert.ok(files.length > 8);
	for (const file of files) {
		const text = readText(root + file), code = text.replace(/'(?:\\.|[^'\\\n])*'/g, '\'\'').replace(/\/\/.*/g, '');
		assert.ok(text.startsWith('\'use strict\';\n'), file);
		// Its minifier takes a pattern after `return` for a division, and knows no templates.
		assert.ok(!/\breturn \/[^/*]/.test(code) && !code.includes('`'), file);
		assert.ok(!/innerHTML|insertAdjacent|\beval\b|rawhtml/.test(code), file);
	}
});
