'use strict';
'require baseclass';
'require homing.providers as providers';

// What a host at a provider takes and needs: questions to the list of providers.
//
// Pure. Options are called as in /etc/config/homing, with _ for the hyphens of the program. A provider
// that the list does not have is the user's own, or of another build: it may take everything.

var FORMS = {
	'two-parts': _('It has two parts; write a colon between them.'),
	'three-parts': _('It has three parts; write colons between them.'),
	'login-and-secret': _('Write the secret; without a username, LOGIN:SECRET.'),
	'one-each-family': _('It is one secret, or one for IPv4 and one for IPv6 with a blank between.')
};

// The characters that mean something in a pattern.
var SPECIAL = new RegExp('[.*+?^${}()|[\\]\\\\]', 'g');

function words(text) {
	return text ? text.split(' ') : [];
}

function named(name) {
	return providers.list.filter(function(provider) { return provider.name == name })[0] || null;
}

// Whether any provider differs from another in this option.
function differs(key) {
	return providers.list.some(function(provider) {
		return words(provider.takes).indexOf(key) >= 0 || words(provider.refuses).indexOf(key) >= 0;
	});
}

function takes(provider, option) {
	var key = option.replace(/_/g, '-'),
	    common = !providers.list.some(function(other) { return words(other.takes).indexOf(key) >= 0 });

	if (common)
		return words(provider.refuses).indexOf(key) < 0;

	return words(provider.takes).indexOf(key) >= 0;
}

return baseclass.extend({
	all: providers.list,
	named: named,

	// Whether a host at the provider of that name may have the option.
	takes: function(name, option) {
		var provider = named(name);
		return provider == null || takes(provider, option);
	},

	needs: function(name, option) {
		var provider = named(name);
		return provider != null && words(provider.needs).indexOf(option.replace(/_/g, '-')) >= 0;
	},

	// Whether a host there proves itself with a secret.
	hasSecret: function(name) {
		var provider = named(name);
		return provider == null || provider.secret != 'nothing';
	},

	// The option that holds the secret, if none does yet.
	secretOption: function(name) {
		var provider = named(name);
		return provider != null && provider.secret == 'token' ? 'token' : 'password';
	},

	// A pattern of the names of providers whose hosts may have the option; null if all may. It fits no
	// empty name: what a provider takes is asked once there is one.
	pattern: function(option) {
		var refusing;

		if (option == '_secret')
			refusing = providers.list.filter(function(provider) { return provider.secret == 'nothing' });
		else if (differs(option.replace(/_/g, '-')))
			refusing = providers.list.filter(function(provider) { return !takes(provider, option) });
		else
			return null;

		return new RegExp('^(?!(?:' + refusing.map(function(provider) {
			return provider.name.replace(SPECIAL, '\\$&');
		}).join('|') + ')$).+$');
	},

	// A pattern of all names that the list does not have.
	unknown: function() {
		return new RegExp('^(?!(?:' + providers.list.map(function(provider) {
			return provider.name.replace(SPECIAL, '\\$&');
		}).join('|') + ')$).+$');
	},

	// What to know before writing a host at that provider, as [ what, text ] in the order of reading.
	about: function(name) {
		var provider = named(name), lines = [];

		if (!name)
			return [ [ '', _('Choose a provider first; what it needs is then shown here.') ] ];

		if (provider == null)
			return [ [ '', _('This provider is not in the list: describe it under "Providers", or see `homing providers` on the router.') ] ];

		if (provider.credential)
			lines.push([ _('Credential'), provider.credential ]);
		if (provider.form)
			lines.push([ _('Form'), FORMS[provider.form] ]);
		if (words(provider.needs).indexOf('zone') >= 0)
			lines.push([ _('Zone'), _('Needed: the domain at the provider that holds the name.') ]);
		if (provider.options)
			lines.push([ _('Options'), words(provider.options).join(', ') +
				(words(provider.needs).indexOf('options') >= 0 ? ' ' + _('(needed)') : '') ]);
		if (provider.lacks)
			lines.push([ _('Beware'), _('It has no %s; choose "off" for that address.').format(provider.lacks == 'ipv4' ? 'IPv4' : 'IPv6') ]);
		if (provider.note)
			lines.push([ _('Note'), provider.note ]);

		return lines;
	},

	page: function(name) {
		var provider = named(name);
		return (provider && /^https?:\/\//.test(provider.page || '')) ? provider.page : null;
	}
});
