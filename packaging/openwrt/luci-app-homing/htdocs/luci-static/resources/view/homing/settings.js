'use strict';
'require view';
'require dom';
'require form';
'require uci';
'require ui';
'require homing.facts as facts';
'require homing.needs as needs';
'require homing.options as options';
'require homing.run as run';
'require homing.show as show';

// /etc/config/homing as forms. Which options there are is in homing/options.js, what a provider takes
// in homing/needs.js.

var CONFIG = 'homing';

// What reminds this page, when LuCI loads it again after applying, to check what was applied.
var APPLIED = 'homing.applied';

var ON = [ '1', 'on', 'true', 'yes', 'enabled' ];
var OFF = [ '0', 'off', 'false', 'no', 'disabled' ];

var SECRETS = [ 'token', 'password' ];
var SECRET_FILES = [ 'token_file', 'password_file' ];
var OTHER_SECRETS = [ 'token_env', 'token_credential', 'key_file', 'key_name', 'secret_file' ];

// Those of `keys` that the section has.
function present(section_id, keys) {
	return keys.filter(function(key) {
		var value = uci.get(CONFIG, section_id, key);
		return value != null && value != '';
	});
}

function forget(section_id, keys) {
	keys.forEach(function(key) { uci.unset(CONFIG, section_id, key) });
}

// The provider that the form shows for the host.
function providerOf(field, section_id) {
	return field.section.formvalue(section_id, 'provider') || uci.get(CONFIG, section_id, 'provider') || '';
}

// Where the secret is: nothing of its own, but the fields below depend on it.
var SecretPlace = form.ListValue.extend({
	load: function(section_id) {
		return present(section_id, OTHER_SECRETS).length ? 'other'
			: present(section_id, SECRET_FILES).length ? 'file' : 'here';
	},
	write: function() {},
	remove: function() {}
});

// The secret itself. What is stored never comes into the page: the field is empty, and leaving it empty
// keeps the secret.
var Secret = form.Value.extend({
	password: true,
	load: function(section_id) {
		// A form with a mistake in one field has written the others all the same when it is saved again.
		this.provider = this.provider || {};
		this.provider[section_id] = uci.get(CONFIG, section_id, 'provider');
		return null;
	},
	renderWidget: function(section_id) {
		this.placeholder = present(section_id, SECRETS).length ? _('stored; write only to replace it') : null;
		return form.Value.prototype.renderWidget.apply(this, arguments);
	},
	validate: function(section_id, value) {
		if (value)
			return true;
		if (!present(section_id, SECRETS).length)
			return _('Write the token or password.');
		// The secret of one provider is nothing to tell to another.
		return providerOf(this, section_id) == this.provider[section_id] ? true
			: _('Write the token or password of the new provider.');
	},
	write: function(section_id, value) {
		var key = present(section_id, SECRETS)[0] || needs.secretOption(providerOf(this, section_id));
		uci.set(CONFIG, section_id, key, value);
	},
	remove: function(section_id) {
		if (!this.isActive(section_id))
			forget(section_id, SECRETS);
	}
});

var SecretFile = form.Value.extend({
	load: function(section_id) {
		return uci.get(CONFIG, section_id, present(section_id, SECRET_FILES)[0] || SECRET_FILES[0]);
	},
	validate: function(section_id, value) {
		return value ? true : _('Name the file that holds the token or password.');
	},
	write: function(section_id, value) {
		var key = present(section_id, SECRET_FILES)[0] || needs.secretOption(providerOf(this, section_id)) + '_file';
		uci.set(CONFIG, section_id, key, value);
	},
	remove: function(section_id) {
		forget(section_id, SECRET_FILES);
	}
});

// Yes, no, or what the program decides.
var Choice = form.ListValue.extend({
	load: function(section_id) {
		var value = uci.get(CONFIG, section_id, this.option);
		return ON.indexOf(value) >= 0 ? '1' : OFF.indexOf(value) >= 0 ? '0' : value;
	}
});

// Several values. One that stands in the file as an option is a list of one: unchanged, it is not written.
var Several = form.DynamicList.extend({
	load: function(section_id) {
		return L.toArray(uci.get(CONFIG, section_id, this.option));
	}
});

// What a host at the chosen provider needs, in words.
var About = form.DummyValue.extend({
	renderWidget: function(section_id) {
		this.box = E('div', { 'id': this.cbid(section_id), 'role': 'status' });
		this.tell(uci.get(CONFIG, section_id, 'provider'));
		return this.box;
	},
	tell: function(name) {
		var page = needs.page(name);
		dom.content(this.box, needs.about(name).map(function(line) {
			return E('div', {}, [ line[0] ? E('strong', {}, [ line[0] + ': ' ]) : '', line[1] ]);
		}).concat(page ? [ E('div', {}, [ E('a', { 'href': page, 'target': '_blank', 'rel': 'noreferrer noopener' }, [ page ]) ]) ] : []));
	}
});

// The names of the sections of a kind, as hosts and sources refer to them.
function named(kind) {
	return uci.sections(CONFIG, kind).map(function(section) { return section.name || section['.name'] });
}

function offer(field, names) {
	names.forEach(function(name) { field.value(name, E('span', {}, [ name ])) });
}

// The class of field for an option.
function fieldOf(option) {
	if (option.shape == 'flag' || option.key == 'jail')
		return Choice;
	if (option.many || [ 'texts', 'program', 'resolvers', 'gateways' ].indexOf(option.shape) >= 0)
		return Several;
	return form.Value;
}

// Adds the option to its tab.
function add(section, option, devices) {
	var field = section.taboption(option.tab, fieldOf(option), option.key, option.title, option.help), pattern;

	field.modalonly = true;
	field.rmempty = !option.needed;
	if (option.placeholder || option.initial)
		field.placeholder = option.placeholder || _('default: %s').format(option.initial);
	if (option.shape == 'number')
		field.datatype = 'uinteger';
	if (fieldOf(option) == Choice) {
		field.value('', option.initial ? _('default (%s)').format(option.initial) : _('default'));
		field.value('1', _('yes'));
		field.value('0', _('no'));
	}
	offer(field, option.values || []);
	if (option.devices)
		offer(field, devices);
	if (option.sources)
		offer(field, named('source'));
	if (option.resolvers)
		offer(field, named('resolver'));
	if (option.providers)
		offer(field, needs.all.map(function(provider) { return provider.name }));

	if (section.sectiontype != 'host')
		return;

	if (option.ownProvider) {
		field.depends({ provider: needs.unknown(), _place: 'other' });
		return;
	}
	pattern = needs.pattern(option.key);
	if (pattern)
		field.depends('provider', pattern);
	field.validate = function(section_id, value) {
		var provider = providerOf(this, section_id);
		return value || !needs.needs(provider, option.key) ? true : _('%s needs this.').format(provider);
	};
}

function addTabs(section, kind) {
	options.tabs[kind].forEach(function(tab) { section.tab(tab[0], tab[1]) });
}

function addAll(section, kind, devices) {
	options[kind].forEach(function(option) { add(section, option, devices) });
}

function grid(map, kind, title, description) {
	var section = map.section(form.GridSection, kind, title, description);
	section.addremove = true;
	section.nodescriptions = true;
	addTabs(section, kind);
	return section;
}

// A column of the table alone, of text.
function column(section, key, title, text) {
	var field = section.option(form.DummyValue, key, title);
	field.modalonly = false;
	field.textvalue = function(section_id) { return E('span', {}, [ text(section_id) || '-' ]) };
}

function joined(section_id, key) {
	return L.toArray(uci.get(CONFIG, section_id, key)).join(', ');
}

// The options of a section in a line, as a reminder of what it is.
function gist(kind) {
	return function(section_id) {
		return options[kind].filter(function(option) {
			return option.key != 'name' && present(section_id, [ option.key ]).length;
		}).slice(0, 2).map(function(option) { return option.title + ': ' + joined(section_id, option.key) }).join('; ');
	};
}

function addHosts(map, devices) {
	var section = grid(map, 'host', _('Hosts'), _('Names to keep up to date, each with the provider that serves it.')), field, about;

	section.anonymous = true;
	section.sortable = true;
	section.addbtntitle = _('Add a host');
	section.modaltitle = function(section_id) {
		return '%h'.format(joined(section_id, 'name') || _('New host'));
	};

	field = section.option(form.Flag, 'enabled', _('On'));
	field.modalonly = false;
	field.editable = true;
	field.default = '1';
	field.load = function(section_id) {
		return OFF.indexOf(uci.get(CONFIG, section_id, 'enabled')) >= 0 ? '0' : '1';
	};
	column(section, '_names', _('Names'), function(section_id) { return joined(section_id, 'name') });
	column(section, '_provider', _('Provider'), function(section_id) { return joined(section_id, 'provider') });

	add(section, options.host[0], devices);

	field = section.taboption('main', form.Value, 'provider', _('Provider'));
	field.modalonly = true;
	field.rmempty = false;
	named('provider').forEach(function(name) { field.value(name, E('span', {}, [ _('%s (your own)').format(name) ])) });
	needs.all.forEach(function(provider) { field.value(provider.name, E('span', {}, [ provider.title + ' (' + provider.name + ')' ])) });
	field.onchange = function(ev, section_id, value) {
		var about = this.section.children.filter(function(field) { return field.option == '_about' })[0];
		about.tell(value);
	};

	about = section.taboption('main', About, '_about', _('What it needs'));
	about.modalonly = true;

	field = section.taboption('main', SecretPlace, '_place', _('The secret is'));
	field.modalonly = true;
	field.value('here', _('here (only root can read it)'));
	field.value('file', _('in a file of its own'));
	field.value('other', _('none of these'));
	field.depends('provider', needs.pattern('_secret'));

	field = section.taboption('main', Secret, '_secret', _('Token or password'),
		_('One that may write this one name and nothing else, if the provider has such. It is never shown again.'));
	field.modalonly = true;
	field.depends({ provider: needs.pattern('_secret'), _place: 'here' });

	field = section.taboption('main', SecretFile, '_secret_file', _('File of the token or password'),
		_('It must belong to the user homing, and be in a directory of its own, such as /etc/homing.'));
	field.modalonly = true;
	field.placeholder = '/etc/homing/dev1.token';
	field.depends({ provider: needs.pattern('_secret'), _place: 'file' });

	options.host.slice(1).forEach(function(option) { add(section, option, devices) });
}

function addOthers(map, devices) {
	[
		[ 'source', _('Sources'), _('Where addresses come from. Most hosts need none: "auto" is the address that this router uses towards the Internet.') ],
		[ 'provider', _('Providers'), _('Services that are not in the list, or are at another address.') ],
		[ 'resolver', _('Resolvers'), _('Name servers that answer with the address of who asks, for sources.') ]
	].forEach(function(kind) {
		var section = grid(map, kind[0], kind[1], kind[2]);
		section.anonymous = false;
		column(section, '_gist', _('What'), gist(kind[0]));
		addAll(section, kind[0], devices);
	});
}

function remember() {
	try { window.sessionStorage.setItem(APPLIED, '1') } catch (error) {}
}

// Whether settings were applied just before; forgets it.
function wasApplied() {
	try {
		var found = window.sessionStorage.getItem(APPLIED);
		window.sessionStorage.removeItem(APPLIED);
		return found != null;
	} catch (error) {
		return false;
	}
}

return view.extend({
	load: function() {
		return Promise.all([ uci.load(CONFIG), run.devices() ]);
	},

	render: function(loaded) {
		var devices = loaded[1], map, section, field, found = E('div', { 'role': 'status' });

		// Sections that are missing in the file would have no form. Empty ones mean nothing.
		[ [ 'homing', 'main' ], [ 'report', 'report' ] ].forEach(function(kind) {
			if (!uci.sections(CONFIG, kind[0]).length)
				uci.add(CONFIG, kind[0], uci.get(CONFIG, kind[1]) ? null : kind[1]);
		});

		map = new form.Map(CONFIG, _('Settings of Homing'),
			_('What is left empty is decided by the program. After "Save & Apply" every mistake is named here.'));
		map.tabbed = true;

		section = map.section(form.TypedSection, 'homing', _('Service'));
		section.anonymous = true;
		section.addremove = false;
		addTabs(section, 'homing');
		field = section.taboption('main', form.Flag, 'enabled', _('Run Homing'));
		field.rmempty = false;
		field.load = function(section_id) {
			return OFF.indexOf(uci.get(CONFIG, section_id, 'enabled')) >= 0 ? '0' : '1';
		};
		addAll(section, 'homing', devices);

		section = map.section(form.TypedSection, 'report', _('Reports'), _('Who is told when a host has a problem.'));
		section.anonymous = true;
		section.addremove = false;
		addTabs(section, 'report');
		addAll(section, 'report', devices);

		addHosts(map, devices);
		addOthers(map, devices);

		document.addEventListener('uci-applied', remember);
		if (wasApplied() && L.hasViewPermission())
			this.check(found);

		return map.render().then(function(nodes) { return E([], [ found, nodes ]) });
	},

	// Shows in `box` what is wrong with the settings that are in the file now.
	check: function(box) {
		dom.content(box, [ E('p', { 'class': 'spinning' }, [ _('Checking the settings…') ]) ]);
		return run.check().then(function(done) {
			var check = facts.check(done);
			dom.content(box, [ E('div', { 'class': check.wrong ? 'alert-message warning' : 'alert-message success' }, [
				E('p', {}, [ E('strong', {}, [ check.title ]) ]),
				check.wrong ? show.said(check.said) : E([])
			]) ]);
		});
	}
});
