'use strict';
'require baseclass';

// Every option of /etc/config/homing that the pages offer, in the order in which they are shown.
//
// A test compares this with the tables of toml.awk, which turns the options into Homing's own settings.
// `shape` is the one there: text, texts, number, flag, file, directory, written, program, resolvers,
// gateways, toml, own. `values` are offered; `devices`, `sources` and `resolvers` offer what the router
// and the other sections have. `initial` shows what holds when the option is not there.

function option(key, shape, tab, title, help, more) {
	return Object.assign({ key: key, shape: shape, tab: tab, title: title, help: help || null }, more || {});
}

return baseclass.extend({
	// Options that no page offers, each with the reason.
	left: {
		homing: {
			enabled: 'a switch of its own',
			migrate_ddns: 'counts only at the first start after an installation'
		},
		host: {
			enabled: 'a switch of its own',
			provider: 'a field of its own',
			token: 'in the field for the secret',
			password: 'in the field for the secret',
			token_file: 'in the field for the file of the secret',
			password_file: 'in the field for the file of the secret',
			token_env: 'the service has no environment to read',
			token_credential: 'systemd alone hands such over'
		},
		report: {
			ping: 'a secret; it belongs into a file',
			metrics_file: 'the full build alone writes it',
			notify: 'the full build alone sends messages',
			status_page: 'the full build alone writes it; the overview shows the same'
		}
	},

	tabs: {
		homing: [ [ 'main', _('General') ], [ 'more', _('Advanced') ] ],
		host: [ [ 'main', _('Host') ], [ 'address', _('Addresses') ], [ 'more', _('Behaviour') ], [ 'verify', _('Verification') ] ],
		source: [ [ 'main', _('Source') ], [ 'outside', _('Services outside') ], [ 'more', _('Advanced') ] ],
		provider: [ [ 'main', _('Provider') ], [ 'pace', _('Limits') ], [ 'dyndns2', 'dyndns2' ], [ 'http', 'http' ] ],
		report: [ [ 'main', _('Reports') ] ],
		resolver: [ [ 'main', _('Resolver') ] ]
	},

	homing: [
		option('interval', 'text', 'main', _('Interval'),
			_('How often to look even if nothing reports a change, and how often services outside are asked: from 10s to 1d.'), { initial: '5m' }),
		option('log', 'text', 'main', _('Log'), _('How much to write to the log.'),
			{ initial: 'info', values: [ 'error', 'warn', 'info', 'debug', 'trace' ] }),
		option('settle', 'text', 'more', _('Quiet time'),
			_('How long the network must be quiet before Homing acts on a change: at most 1s.'), { initial: '100ms' }),
		option('log_format', 'text', 'more', _('Form of the log'), null,
			{ initial: 'syslog', values: [ 'syslog', 'text', 'json' ] }),
		option('state_dir', 'directory', 'more', _('Directory of the state'),
			_('Where Homing remembers what it has set. Here it outlives a restart and an upgrade.'), { initial: '/etc/homing/state' }),
		option('jail', 'own', 'more', _('Jail'), _('Whether the program runs in procd\'s jail (needs procd-ujail).'), { initial: 'yes' }),
		option('jail_mount', 'own', 'more', _('More in the jail, to read'),
			_('Files or directories that a program of yours needs.'), { many: true }),
		option('jail_mount_rw', 'own', 'more', _('More in the jail, to write'), null, { many: true })
	],

	host: [
		option('name', 'texts', 'main', _('Names'),
			_('Whole names, such as dev1.dyn.example.com. Several share one secret.'), { placeholder: 'dev1.dyn.example.com', needed: true }),
		option('username', 'text', 'main', _('Login'), _('The login that belongs to the password.')),
		option('key_name', 'text', 'main', _('Name of the key'), _('For name servers (RFC 2136), in the full build.'), { ownProvider: true }),
		option('key_file', 'file', 'main', _('File of the key'), null, { ownProvider: true, placeholder: '/etc/homing/dev1.key' }),
		option('secret_file', 'file', 'main', _('File of the key\'s secret'), null, { ownProvider: true }),
		option('path', 'written', 'main', _('File to write'),
			_('In a directory that belongs to the user homing.'), { placeholder: '/etc/homing/hosts/homing' }),
		option('zone', 'text', 'main', _('Zone'), _('The domain at the provider that holds the name.'), { placeholder: 'dyn.example.com' }),
		option('zone_id', 'text', 'main', _('Id of the zone'), _('Where the provider\'s zones have ids. Found by itself where that is allowed.')),
		option('options', 'toml', 'main', _('Options'), _('What the provider lets a host set, in braces.'), { placeholder: '{ proxied = false }' }),
		option('ipv4', 'text', 'address', 'IPv4', _('Where the IPv4 address comes from; "off" leaves the A record alone.'),
			{ initial: 'auto', values: [ 'auto', 'off' ], sources: true }),
		option('ipv6', 'text', 'address', 'IPv6', _('Where the IPv6 address comes from; "off" leaves the AAAA record alone.'),
			{ initial: 'auto', values: [ 'auto', 'off' ], sources: true }),
		option('bind', 'text', 'address', _('Interface'), _('Send everything about this host by this interface, or not at all.'), { devices: true }),
		option('when_gone', 'text', 'address', _('When an address is gone'),
			_('What to do with the record of a family that this router has no address of any more.'), { initial: 'keep', values: [ 'keep', 'remove' ] }),
		option('gone_after', 'text', 'address', _('Gone for'), _('How long, before the record is removed.'), { initial: '1h' }),
		option('refresh', 'text', 'more', _('Refresh'),
			_('Send an unchanged address again after this time: at least 1d, or "never".'), { initial: _('what the provider needs') }),
		option('ttl', 'number', 'more', _('Time to live'), _('How long resolvers may keep the address, in seconds.')),
		option('take_over', 'flag', 'more', _('Take over'), _('Whether to replace a record that Homing did not write.')),
		option('strict_token', 'flag', 'more', _('Strict'),
			_('Use the token only when it is proven to do no more than its job.'), { initial: 'no' }),
		option('expires', 'text', 'more', _('Secret ends'), _('The day on which the secret expires, to be warned of it.'), { placeholder: '2027-06-01' }),
		option('on_change', 'program', 'more', _('Run after a change'),
			_('A program and its arguments, one in each line; there is no shell. It runs as the user homing.'), { placeholder: '/usr/libexec/notify' }),
		option('verify', 'flag', 'verify', _('Verify'), _('Ask the zone\'s own servers after an update whether they have it.'), { initial: 'no' }),
		option('verify_servers', 'texts', 'verify', _('Servers'), _('In place of those that the zone names.'), { placeholder: 'ns1.example.net' }),
		option('verify_timeout', 'text', 'verify', _('Patience'), _('How long they may take: from 1s to 5m.'), { initial: '10s' })
	],

	source: [
		option('name', 'own', 'main', _('Name'), _('If it has characters that the name above cannot have.')),
		option('interface', 'text', 'main', _('Interface'), _('The address of this network interface.'), { devices: true }),
		option('suffix', 'text', 'main', _('Suffix'),
			_('For another machine: the end of its IPv6 address; the beginning is that of the interface.'), { placeholder: '::1:2:3:4' }),
		option('suffix_mac', 'text', 'main', _('Suffix by hardware address'),
			_('In place of the suffix, if that machine makes its address from the number of its network card.'), { placeholder: '00:11:22:33:44:55' }),
		option('static', 'texts', 'main', _('Fixed addresses'), null, { placeholder: '203.0.113.7' }),
		option('file', 'file', 'main', _('File'), _('The address is the first line of this file.'), { placeholder: '/tmp/wan/address' }),
		option('command', 'program', 'main', _('Program'),
			_('The address is the first line that it prints. The program and its arguments, one in each line.')),
		option('web', 'texts', 'outside', _('Web services'), _('What they see when this router asks them.'),
			{ values: [ 'desec', 'ipify', 'icanhazip', 'ident.me', 'amazon' ] }),
		option('stun', 'texts', 'outside', _('STUN servers'), null, { placeholder: 'stun.example.net:3478' }),
		option('dns', 'resolvers', 'outside', _('Resolvers'), _('Those that answer with the address of who asks.'),
			{ values: [ 'opendns', 'cloudflare', 'google' ], resolvers: true }),
		option('gateway', 'gateways', 'outside', _('Router in front'),
			_('What the next router says (PCP, NAT-PMP, UPnP): "true" for the one of the default route, or its address.'), { values: [ 'true' ] }),
		option('agree', 'number', 'outside', _('Must agree'), _('How many must say the same before it is believed.'), { initial: '1' }),
		option('bind', 'text', 'outside', _('Ask by interface'), _('By this one, or not at all.'), { devices: true }),
		option('ca_file', 'file', 'outside', _('Certificate authority'), _('A PEM file with one more authority to trust.')),
		option('count', 'number', 'more', _('How many addresses'), _('From 1 to 8; several need a provider that takes them.'), { initial: '1' }),
		option('prefix_length', 'number', 'more', _('Length of the prefix'), _('How many bits the interface and the other machine have in common.')),
		option('allow_private', 'flag', 'more', _('Private addresses'), _('Whether to publish addresses that are valid in your own network only.'), { initial: 'no' }),
		option('prefer_temporary', 'flag', 'more', _('Temporary addresses'), _('Whether to prefer the IPv6 addresses that change daily.'), { initial: 'no' })
	],

	provider: [
		option('name', 'own', 'main', _('Name'), _('If it has characters that the name above cannot have, such as he.net.')),
		option('protocol', 'text', 'main', _('Protocol'), null,
			{ values: [ 'dyndns2', 'http', 'desec', 'hosts-file', 'powerdns', 'powerdns-on-rails', 'rfc2136' ] }),
		option('extends', 'text', 'main', _('Like'), _('A built-in provider; what is written here takes the place of its settings.'), { providers: true }),
		option('server', 'text', 'main', _('Server'), null, { placeholder: 'https://dyndns.example.org' }),
		option('update_url', 'text', 'main', _('Address of updates'), _('The whole address, where the server alone does not say it.')),
		option('api_url', 'text', 'main', _('Address of the API'), null),
		option('zone', 'text', 'main', _('Zone'), _('Of all its hosts, if there is only one.')),
		option('title', 'text', 'main', _('Title'), _('For people.')),
		option('page', 'text', 'main', _('Page'), _('Where its credential is made.')),
		option('credential', 'text', 'main', _('Narrowest credential'), null),
		option('reach', 'text', 'main', _('Reach'), _('What that credential can write, if it is more than one name.'), { values: [ 'zone', 'project', 'account' ] }),
		option('note', 'text', 'main', _('Note'), null),
		option('ca_file', 'file', 'main', _('Certificate authority'), _('A PEM file with one more authority to trust.')),
		option('plain_http', 'flag', 'main', _('Without encryption'), _('Whether to allow http:// to a private address. The secret is then readable on the way.'), { initial: 'no' }),
		option('algorithm', 'text', 'main', _('Algorithm of keys'), _('For rfc2136.'), { values: [ 'hmac-sha256', 'hmac-sha384', 'hmac-sha512', 'hmac-sha1' ] }),
		option('pace', 'text', 'pace', _('Pace'), _('How many updates it takes in how much time, such as 2/2m; or "off".')),
		option('refresh', 'text', 'pace', _('Refresh'), _('How often it wants an unchanged address confirmed.')),
		option('timeout', 'text', 'pace', _('Patience'), _('How long a whole update may take.'), { initial: '120s' }),
		option('batch', 'number', 'pace', _('Hosts in one update'), null),
		option('omit', 'text', 'pace', _('A family that is left out'), _('What the provider does with its record.'), { values: [ 'keep', 'delete', 'caller' ] }),
		option('echo4', 'text', 'pace', _('Echo service for IPv4'), _('One of its web services that answers with the asker\'s address.')),
		option('echo6', 'text', 'pace', _('Echo service for IPv6'), null),
		option('ipv4_parameter', 'text', 'dyndns2', _('Parameter of IPv4'), null, { initial: 'myip' }),
		option('ipv6_parameter', 'text', 'dyndns2', _('Parameter of IPv6'), null, { initial: 'myip' }),
		option('one_family', 'flag', 'dyndns2', _('One request for each family'), null, { initial: 'no' }),
		option('leave', 'text', 'dyndns2', _('Word for "leave it alone"'), null),
		option('query', 'text', 'dyndns2', _('More parameters'), null, { placeholder: 'system=dyndns' }),
		option('login', 'toml', 'dyndns2', _('Login'), _('"username", or "host" if the name is the login; with http, the request that logs in.')),
		option('headers', 'toml', 'http', _('Headers'), _('Of every request.'), { placeholder: '["Authorization: Bearer {secret}"]' }),
		option('find', 'toml', 'http', _('Find the zone'), null),
		option('list', 'toml', 'http', _('List the records'), null),
		option('each', 'toml', 'http', _('Read one record'), null),
		option('create', 'toml', 'http', _('Create a record'), null),
		option('change', 'toml', 'http', _('Change a record'), null),
		option('remove', 'toml', 'http', _('Remove a record'), null),
		option('set', 'toml', 'http', _('Set all at once'), null),
		option('set_item', 'text', 'http', _('One set in that'), null),
		option('item', 'text', 'http', _('One address in that'), null),
		option('glue', 'text', 'http', _('Text between addresses'), null),
		option('commit', 'toml', 'http', _('Put into effect'), null),
		option('answer', 'toml', 'http', _('Answers'), _('What they mean.'), { placeholder: '{ updated = "200 word=OK" }' }),
		option('answers', 'text', 'http', _('Other answers'), null, { values: [ 'rest', 'words' ] }),
		option('names', 'text', 'http', _('Names in lists'), null, { values: [ 'fqdn', 'label' ] }),
		option('apex', 'text', 'http', _('Word for the zone itself'), null, { placeholder: '@' }),
		option('families', 'text', 'http', _('Only family'), null, { values: [ 'ipv4', 'ipv6' ] }),
		option('pair', 'toml', 'http', _('Words by family'), null),
		option('power', 'toml', 'http', _('Powers'), _('Requests that a narrow credential is refused; the full build asks them.'), { placeholder: '[{ get = "/account", says = "may read the account" }]' }),
		option('ttl', 'toml', 'http', _('Time to live'), null, { placeholder: '{ default = 300, min = 60 }' }),
		option('options', 'toml', 'http', _('Options of hosts'), null, { placeholder: '["comment"]' }),
		option('secret_parts', 'number', 'http', _('Parts of the secret'), null),
		option('sign', 'text', 'http', _('Signature'), null),
		option('key', 'text', 'http', _('Key file'), null),
		option('jwt', 'text', 'http', _('Signed claims'), null),
		option('tokens', 'text', 'http', _('Issuer of tokens'), _('So that the full build can make them.'), { values: [ 'desec' ] })
	],

	report: [
		option('on_problem', 'program', 'main', _('Run at a problem'),
			_('A program and its arguments, one in each line; there is no shell. It runs once when a host has a problem and once when it is right again, as the user homing.'),
			{ placeholder: '/usr/libexec/tell' }),
		option('problem_after', 'text', 'main', _('After'), _('How long a host must have waited for that; a rejected one is a problem at once.'), { initial: '15m' }),
		option('ping_file', 'file', 'main', _('File of the ping'), _('A file with nothing but the URL of a monitoring service, which is asked after each round in which all hosts are right.'), { placeholder: '/etc/homing/ping' }),
		option('ping_service', 'text', 'main', _('Kind of service'), null, { initial: 'url', values: [ 'cronitor', 'healthchecks', 'uptime-kuma', 'url' ] }),
		option('ping_interval', 'text', 'main', _('At most every'), null, { initial: '5m' })
	],

	resolver: [
		option('server', 'text', 'main', _('Server'), null, { placeholder: '192.0.2.53' }),
		option('name', 'text', 'main', _('Name to ask for'), null, { placeholder: 'whoami.example.net' }),
		option('type', 'text', 'main', _('Type'), null, { values: [ 'A', 'AAAA', 'TXT' ] }),
		option('class', 'text', 'main', _('Class'), null, { initial: 'IN', values: [ 'IN', 'CH' ] })
	]
});
