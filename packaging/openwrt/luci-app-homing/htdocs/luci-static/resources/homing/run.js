'use strict';
'require baseclass';
'require fs';

// The commands that the pages run, and no others: the access list of the package names the same.
//
// Each ends with { code, stdout, stderr }, or with `missing` (no such program), `refused` (not allowed)
// or `error` (in words) where it could not be run.

function run(command, parameters) {
	return fs.exec(command, parameters).catch(function(error) {
		return {
			missing: error.name == 'NotFoundError',
			refused: error.name == 'PermissionError',
			error: error.message || String(error)
		};
	});
}

return baseclass.extend({
	status: function() {
		return run('/usr/bin/homing', [ 'status', '--json' ]);
	},

	history: function() {
		return run('/usr/bin/homing', [ 'history', '--json' ]);
	},

	log: function() {
		return run('/sbin/logread', [ '-e', 'homing' ]);
	},

	// A round at once.
	round: function() {
		return run('/etc/init.d/homing', [ 'round' ]);
	},

	check: function() {
		return run('/etc/init.d/homing', [ 'check' ]);
	},

	// The names of the router's network devices; none if they cannot be listed.
	devices: function() {
		return fs.list('/sys/class/net').then(function(entries) {
			return entries.map(function(entry) { return entry.name })
				.filter(function(name) { return name != 'lo' && name != 'bonding_masters' }).sort();
		}).catch(function() {
			return [];
		});
	}
});
