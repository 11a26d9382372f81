'use strict';
'require baseclass';

// What the pages have in common: elements made from values.
//
// A text is always an element of a list here: by itself LuCI would take it for HTML, and texts from the
// router may hold anything.

return baseclass.extend({
	// A moment by the browser's clock and zone, as an element for programs and people.
	time: function(at) {
		var date = new Date(at);
		return E('time', { 'datetime': date.toISOString() }, [ date.toLocaleString() ]);
	},

	// What is wrong, what helps, and what the program said.
	problem: function(problem) {
		return E('div', { 'class': 'alert-message warning' }, [
			E('p', {}, [ E('strong', {}, [ problem.what ]) ]),
			E('p', {}, [ problem.fix ]),
			problem.said ? this.said(problem.said) : E([])
		]);
	},

	// What a program printed; long lines are broken, so that nothing lies beyond a narrow screen.
	said: function(text) {
		return E('pre', { 'style': 'white-space:pre-wrap; overflow-wrap:anywhere' }, [ text ]);
	},

	// A table with these headings; each cell is text or a list of elements. On a narrow screen, where LuCI
	// shows no headings and puts the cells of a row below each other, those of the columns in `wide` have
	// the whole width.
	table: function(headings, rows, wide, empty) {
		var table = E('table', { 'class': 'table' }, [
			E('tr', { 'class': 'tr table-titles' }, headings.map(function(heading) {
				return E('th', { 'class': 'th', 'scope': 'col' }, [ heading ]);
			}))
		]);

		rows.forEach(function(row, index) {
			table.appendChild(E('tr', { 'class': 'tr cbi-rowstyle-%d'.format(index % 2 + 1) }, row.map(function(cell, place) {
				return E('td', {
					'class': 'td left',
					'data-title': headings[place],
					'style': 'vertical-align:top; overflow-wrap:anywhere' + (wide.indexOf(place) >= 0 ? '; flex:1 1 100%' : '')
				}, Array.isArray(cell) ? cell : [ cell ]);
			})));
		});

		return rows.length ? table : E('p', {}, [ E('em', {}, [ empty ]) ]);
	}
});
