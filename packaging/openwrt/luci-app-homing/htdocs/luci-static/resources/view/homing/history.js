'use strict';
'require view';
'require dom';
'require poll';
'require homing.facts as facts';
'require homing.run as run';
'require homing.show as show';

// What was set when, and why, newest first.

var INTERVAL = 30;

return view.extend({
	load: function() {
		return run.history();
	},

	render: function(done) {
		var changes = E('div');

		function update(done) {
			var history = facts.history(done);
			dom.content(changes, [ history.problem ? show.problem(history.problem)
				: show.table([ _('When'), _('Host'), _('Address'), _('Why') ], history.changes.map(function(change) {
					return [
						[ change.at == null ? '' : show.time(change.at) ],
						[ change.host, ' ', E('small', {}, [ change.family ]) ],
						[
							E('strong', {}, [ change.after || _('removed') ]), ' ',
							E('small', {}, [ change.before ? _('before: %s').format(change.before) : '' ])
						],
						change.why
					];
				}), [ 2, 3 ], _('Nothing has changed yet.'))
			]);
		}

		update(done);
		poll.add(function() { return run.history().then(update) }, INTERVAL);

		return E([], [ E('h2', {}, [ _('Changes') ]), changes ]);
	},

	handleSaveApply: null,
	handleSave: null,
	handleReset: null
});
