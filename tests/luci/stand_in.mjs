// A stand-in for LuCI, for tests: its way of loading modules, and as much of its classes as the pages
// of luci-app-homing use, by its documented behaviour.
//
// Two things are stricter than there. A child of an element that is a text by itself, which LuCI takes
// for HTML, is an error. And `fs` runs nothing: `router.exec` answers, and only if the access list of
// the package has the command.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const packageRoot = fileURLToPath(new URL('../../packaging/openwrt/luci-app-homing/', import.meta.url));
const resources = packageRoot + 'htdocs/luci-static/resources/';

export function readText(path) {
	return readFileSync(packageRoot + path, 'utf8');
}

export const access = JSON.parse(readText('root/usr/share/rpcd/acl.d/luci-app-homing.json'))['luci-app-homing'];

// LuCI's own format knows more; the pages use these.
String.prototype.format = function(...values) {
	return this.replace(/%([sdh%])/g, (whole, kind) => {
		if (kind == '%') return '%';
		const value = values.shift();
		if (kind == 'd') return String(Math.trunc(Number(value)));
		return kind == 'h' ? String(value).replace(/[&<>"']/g, sign => `&#${sign.charCodeAt(0)};`) : String(value);
	});
};

class Element {
	constructor(tag, attributes) {
		Object.assign(this, { tag, attributes: {}, listeners: {}, children: [], disabled: false });
		const classes = () => (this.attributes.class || '').split(' ');
		this.classList = { contains: name => classes().includes(name) };
		for (const [ name, value ] of Object.entries(attributes || {})) {
			if (typeof value == 'function') this.listeners[name] = value;
			else if (value != null) this.attributes[name] = String(value);
		}
		this.disabled = 'disabled' in this.attributes;
	}
	appendChild(child) { this.children.push(child) }
	get textContent() { return this.children.map(child => child instanceof Element ? child.textContent : child).join('') }
	// All elements in it that have this tag.
	all(tag) {
		const inside = this.children.filter(child => child instanceof Element);
		return inside.flatMap(child => (child.tag == tag ? [ child ] : []).concat(child.all(tag)));
	}
	button(text) { return this.all('button').find(button => button.textContent == text) }
}

function append(element, children) {
	if (typeof children == 'string' || typeof children == 'number')
		throw new Error(`would be taken for HTML: ${children}`);
	for (const child of [].concat(children ?? []))
		if (child != null) element.children.push(child instanceof Element ? child : String(child));
}

function E(tag, attributes, children) {
	// The attributes may be left out.
	if (Array.isArray(attributes))
		[ attributes, children ] = [ null, attributes ];
	const element = new Element(Array.isArray(tag) ? '#fragment' : tag, attributes);
	append(element, children);
	return element;
}

function extend(Base, properties) {
	const Class = class extends Base {};
	Object.assign(Class.prototype, properties);
	Class.extend = more => extend(Class, more);
	return Class;
}

// The classes of `form`: they note what is asked for, and find out which fields are shown.
function forms(uci) {
	class Field {
		constructor(section, tab, option, title, help) {
			Object.assign(this, { section, tab, option, title, help, choices: {}, deps: [], rmempty: true, entered: {} });
		}
		value(key, label) { this.choices[key] = label ?? key }
		depends(field, value) { this.deps.push(typeof field == 'string' ? { [field]: value } : field) }
		load(section_id) { return uci.get('homing', section_id, this.option) }
		// As LuCI does, which loads once when it shows the form.
		cfgvalue(section_id) {
			this.data ??= {};
			if (!(section_id in this.data)) this.data[section_id] = this.load(section_id);
			return this.data[section_id];
		}
		formvalue(section_id) { return section_id in this.entered ? this.entered[section_id] : this.cfgvalue(section_id) }
		isActive(section_id) {
			return this.deps.length == 0 || this.deps.some(dep => Object.entries(dep).every(([ name, wanted ]) => {
				const other = this.section.field(name), value = other.isActive(section_id) ? other.formvalue(section_id) : null;
				return wanted instanceof RegExp ? value != null && wanted.test(value) : value == wanted;
			}));
		}
		validate() { return true }
		write(section_id, value) { uci.set('homing', section_id, this.option, value) }
		remove(section_id) { uci.unset('homing', section_id, this.option) }
		renderWidget(section_id) { return E('input', { value: this.cfgvalue(section_id), placeholder: this.placeholder }) }
		// As LuCI saves a field: true, or what is wrong.
		save(section_id) {
			if (!this.isActive(section_id)) { this.remove(section_id); return true; }
			const value = this.formvalue(section_id), is = this.cfgvalue(section_id);
			const verdict = this.validate(section_id, value ?? '');
			if (verdict !== true) return verdict;
			if (value == null || value == '') {
				if (!this.rmempty) return `${this.option} must not be empty`;
				this.remove(section_id);
			} else if (JSON.stringify(value) != JSON.stringify(is)) this.write(section_id, value);
			return true;
		}
	}
	class Section {
		constructor(map, sectiontype, title, description) { Object.assign(this, { map, sectiontype, title, description, tabs: {}, children: [] }) }
		tab(name, title) { this.tabs[name] = title }
		option(Class, ...rest) { return this.taboption(null, Class, ...rest) }
		taboption(tab, Class, ...rest) {
			const field = new Class(this, tab, ...rest);
			this.children.push(field);
			return field;
		}
		field(option) { return this.children.find(field => field.option == option) }
		formvalue(section_id, option) { return this.field(option).formvalue(section_id) }
		save(section_id) {
			this.children.forEach(field => field.cfgvalue(section_id));
			return this.children.map(field => field.save(section_id)).filter(verdict => verdict !== true);
		}
	}
	class Map {
		constructor(config, title, description) { Object.assign(this, { config, title, description, sections: [] }); Map.made.push(this) }
		section(Class, ...rest) { const section = new Class(this, ...rest); this.sections.push(section); return section; }
		of(type) { return this.sections.find(section => section.sectiontype == type) }
		async render() { return E('form') }
	}
	Map.made = [];
	const fields = [ 'Value', 'ListValue', 'Flag', 'DynamicList', 'DummyValue' ];
	return { Map, TypedSection: Section, GridSection: Section,
		...Object.fromEntries(fields.map(name => [ name, extend(Field, {}) ])) };
}

// A settings file in memory: { SECTION: { '.type', option: value } }.
function settings(sections) {
	return {
		stored: sections,
		load: async () => {},
		get: (config, section_id, option) => (option ? sections[section_id]?.[option] : sections[section_id]) ?? null,
		set: (config, section_id, option, value) => { sections[section_id][option] = value },
		unset: (config, section_id, option) => { delete sections[section_id]?.[option] },
		add: (config, type, name) => {
			const section_id = name || `cfg${Object.keys(sections).length}`;
			sections[section_id] = { '.type': type, '.name': section_id };
			return section_id;
		},
		sections: (config, type) => Object.entries(sections).filter(([ , section ]) => section['.type'] == type)
			.map(([ name, section ]) => ({ ...section, '.name': name }))
	};
}

// A browser and a router. `exec` answers commands: a result, or the name of LuCI's error. A reader may
// not do what the access list has under `write`.
export function router({ exec = () => ({ code: 0 }), sections = {}, reader = false, devices = [] } = {}) {
	const here = { commands: [], polls: [], modals: [] };
	const fail = name => Promise.reject(Object.assign(new Error(name), { name }));
	const uci = settings(sections), form = forms(uci), events = {}, kept = new globalThis.Map();
	const globals = {
		_: text => text,
		E,
		L: { hasViewPermission: () => !reader, toArray: value => value == null ? [] : Array.isArray(value) ? value : String(value).split(/\s+/) },
		document: { addEventListener: (name, listener) => { events[name] = listener } },
		window: { sessionStorage: { setItem: (key, value) => kept.set(key, value), getItem: key => kept.get(key) ?? null, removeItem: key => kept.delete(key) } }
	};
	const dom = { content: (element, children) => { element.children = []; append(element, children) }, append };
	const modules = {
		baseclass: { extend: properties => extend(class {}, properties) },
		view: { extend: properties => extend(class {}, properties) },
		dom, form, uci,
		poll: { add: (task, seconds) => here.polls.push({ task, seconds }) },
		ui: {
			createHandlerFn: (self, name) => () => self[name](),
			showModal: (title, children) => here.modals.push(E('div', {}, [ title ].concat(children))),
			hideModal: () => here.modals.pop()
		},
		fs: {
			exec: async (command, parameters) => {
				const line = [ command, ...parameters ].join(' ');
				here.commands.push(line);
				const allowed = { ...access.read.file, ...reader ? {} : access.write.file };
				if (!allowed[line]?.includes('exec')) return fail('PermissionError');
				const answer = exec(line);
				return typeof answer == 'string' ? fail(answer) : answer;
			},
			list: async path => access.read.file[path]?.includes('list') ? devices.map(name => ({ name })) : fail('PermissionError')
		}
	};
	// As LuCI does: what a module requires stands at its top, and it gets an instance of each.
	here.load = name => {
		if (!modules[name]) {
			const text = readFileSync(resources + name.replaceAll('.', '/') + '.js', 'utf8');
			const wanted = [ ...text.matchAll(/^'require ([\w.]+)(?: as (\w+))?';$/gm) ].map(([ , from, as ]) => [ from, as || from ]);
			const names = [ ...Object.keys(globals), ...wanted.map(([ , as ]) => as) ];
			const values = [ ...Object.values(globals), ...wanted.map(([ from ]) => here.load(from)) ];
			modules[name] = new (new Function(...names, text)(...values))();
		}
		return modules[name];
	};
	here.show = async name => {
		const view = here.load('view.homing.' + name);
		here.page = await view.render(await view.load());
		return here.page;
	};
	here.press = text => here.page.button(text).listeners.click();
	return Object.assign(here, { uci, events, map: () => form.Map.made.at(-1) });
}
