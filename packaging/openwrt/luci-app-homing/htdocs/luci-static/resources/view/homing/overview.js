'use strict';
'require view';
'require dom';
'require poll';
'require ui';
'require homing.facts as facts';
'require homing.run as run';
'require homing.show as show';

// The hosts: what is set since when, what waits and until when, and two buttons.

// How often to look, in seconds.
var INTERVAL = 5;

// Colours of LuCI's labels. The words beside them say the same.
var LABELS = {
	right: [ 'success', _('right') ],
	waits: [ 'warning', _('waiting') ],
	rejected: [ 'important', _('rejected') ]
};

function cellOfRecords(records) {
	return records.map(function(record) {
		return E('div', {}, [ record.family + ' ' ].concat(record.addresses.map(function(address) {
			return E('strong', {}, [ address + ' ' ]);
		}), [
			E('small', { 'title': record.since ? new Date(record.since).toLocaleString() : null }, [ record.words ])
		]));
	});
}

function cellOfStanding(standing) {
	var label = LABELS[standing.kind], lines = [
		E('span', { 'class': 'label ' + label[0] }, [ label[1] ]), ' '
	];

	if (standing.kind != 'right')
		lines.push(E('strong', {}, [ standing.words ]));
	if (standing.detail)
		lines.push(E('div', {}, [ standing.detail ]));
	if (standing.fix)
		lines.push(E('div', {}, [ _('Fix: %s').format(standing.fix) ]));
	if (standing.next)
		lines.push(E('div', { 'title': standing.until ? new Date(standing.until).toLocaleString() : null }, [ standing.next ]));

	return lines;
}

function cellOfNotes(notes) {
	return notes.map(function(note) {
		var words = note.warn ? E('strong', {}, [ note.words ]) : note.words;
		return E('div', { 'title': note.at ? new Date(note.at).toLocaleString() : null }, [ words ]);
	});
}

return view.extend({
	load: function() {
		return run.status();
	},

	render: function(done) {
		var self = this, mayWrite = L.hasViewPermission();

		this.summary = E('p', { 'role': 'status' });
		this.told = E('p', { 'role': 'status' });
		this.hosts = E('div');
		this.updateButton = E('button', {
			'class': 'cbi-button cbi-button-apply',
			'click': ui.createHandlerFn(this, 'handleUpdate')
		}, [ _('Update now') ]);
		this.mayWrite = mayWrite;
		this.update(done);

		poll.add(function() {
			return run.status().then(function(done) { self.update(done) });
		}, INTERVAL);

		return E([], [
			E('h2', {}, [ _('Homing') ]),
			E('div', { 'class': 'cbi-map-descr' }, [
				_('The names that this router keeps pointing to itself.')
			]),
			this.summary,
			this.hosts,
			E('div', { 'style': 'display:flex; flex-wrap:wrap; gap:.5em; margin:1em 0' }, [
				this.updateButton,
				E('button', {
					'class': 'cbi-button cbi-button-action',
					'disabled': mayWrite ? null : '',
					'click': ui.createHandlerFn(this, 'handleCheck')
				}, [ _('Check') ])
			]),
			E('p', {}, [
				_('"Update now" looks for changes at once; an address that is set already is not sent again. "Check" names every mistake in the settings and what would be sent, and sends nothing to a provider.')
			]),
			this.told
		]);
	},

	// Shows an answer. The buttons stay where they are, and so does the keyboard's focus.
	update: function(done) {
		var status = facts.status(done, Date.now()), words;

		if (status.problem) {
			words = '';
			dom.content(this.hosts, [ show.problem(status.problem) ]);
		} else {
			words = [ status.runs ? status.words : '', status.count ].filter(function(text) { return text }).join(' ');
			dom.content(this.hosts, [
				status.fix ? show.problem({ what: status.words, fix: status.fix }) : E([]),
				show.table([ _('Host'), _('Addresses'), _('State') ], status.hosts.map(function(host) {
					return [
						[ E('strong', {}, [ host.name ]), E('div', {}, [ E('small', {}, [ host.provider ]) ]) ],
						cellOfRecords(host.records),
						cellOfStanding(host.standing).concat(cellOfNotes(host.notes))
					];
				}), [ 0, 1, 2 ], _('There is no host yet. Add one in "Settings".')),
				E('div', {}, status.services.map(function(text) { return E('p', {}, [ text ]) }))
			]);
		}

		// A screen reader reads what changes; what stays need not be heard every time.
		if (this.summary.textContent != words)
			dom.content(this.summary, [ words ]);

		// The service takes the request only while it runs. LuCI disables a button itself while it works.
		this.idle = !this.mayWrite || !status.runs;
		if (!this.updateButton.classList.contains('spinning'))
			this.updateButton.disabled = this.idle;
	},

	tell: function(text) {
		dom.content(this.told, [ text ]);
	},

	handleUpdate: function() {
		var self = this;
		return run.round().then(function(done) {
			var failed = done.missing || done.refused || done.error || done.code != 0;
			self.tell(failed
				? _('Homing could not be asked: %s').format(done.error || done.stderr || _('the service answered with %d').format(done.code))
				: _('Homing looks for changes now.'));
			return run.status();
		}).then(function(done) { self.update(done) });
	},

	handleCheck: function() {
		return run.check().then(function(done) {
			var check = facts.check(done);
			ui.showModal(check.title, [
				show.said(check.said),
				E('div', { 'class': 'right' }, [
					E('button', { 'class': 'cbi-button', 'click': ui.hideModal }, [ _('Close') ])
				])
			]);
		});
	},

	handleSaveApply: null,
	handleSave: null,
	handleReset: null
});
