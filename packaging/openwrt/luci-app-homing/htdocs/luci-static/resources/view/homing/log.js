'use strict';
'require view';
'require dom';
'require poll';
'require homing.facts as facts';
'require homing.run as run';
'require homing.show as show';

// What Homing wrote to the router's log, newest first.

var INTERVAL = 10;

return view.extend({
	load: function() {
		return run.log();
	},

	render: function(done) {
		var lines = E('div');

		function update(done) {
			dom.content(lines, [ done.error
				? show.problem({
					what: _('The log cannot be read.'),
					fix: done.missing ? _('This page reads it with /sbin/logread, which is not on this router.')
						: _('Try again, or read it on the router with: logread -e homing'),
					said: done.error
				})
				: show.table([ _('When'), _('Level'), _('What') ], facts.log(done.stdout).map(function(line) {
					return [ line.when, line.level, line.text ];
				}), [ 2 ], _('The log has nothing from Homing. It is kept in memory and begins anew at each start of the router.'))
			]);
		}

		update(done);
		poll.add(function() { return run.log().then(update) }, INTERVAL);

		return E([], [ E('h2', {}, [ _('Log of Homing') ]), lines ]);
	},

	handleSaveApply: null,
	handleSave: null,
	handleReset: null
});
