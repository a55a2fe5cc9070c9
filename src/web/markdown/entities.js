// Character references (&amp; &#39; ...) in a model's Markdown, decoded without an HTML parser.

const NAMED = new Map(Object.entries({
	amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0', copy: '©', reg: '®', trade: '™', deg: '°', plusmn: '±',
	times: '×', divide: '÷', middot: '·', bull: '•', hellip: '…', ndash: '–', mdash: '—', lsquo: '‘', rsquo: '’', ldquo: '“',
	rdquo: '”', laquo: '«', raquo: '»', larr: '←', rarr: '→', uarr: '↑', darr: '↓', harr: '↔', rArr: '⇒', hArr: '⇔', le: '≤',
	ge: '≥', ne: '≠', asymp: '≈', infin: '∞', radic: '√', sum: '∑', prod: '∏', int: '∫', part: '∂', micro: 'µ', pi: 'π', alpha: 'α',
	beta: 'β', gamma: 'γ', delta: 'δ', theta: 'θ', lambda: 'λ', sigma: 'σ', omega: 'ω', Delta: 'Δ', Omega: 'Ω', frac12: '½',
	frac14: '¼', frac34: '¾', sup2: '²', sup3: '³', euro: '€', pound: '£', yen: '¥', cent: '¢', sect: '§', para: '¶', check: '✓',
}));

export function decodeEntities(text) {
	if (!text.includes('&')) return text;
	return text.replace(/&(?:#(\d{1,7})|#[xX]([\da-fA-F]{1,6})|([a-zA-Z]\w{1,7}));/g, (whole, decimal, hex, name) => {
		if (name) return NAMED.get(name) ?? whole;
		return fromCode(decimal ? parseInt(decimal, 10) : parseInt(hex, 16));
	});
}

function fromCode(code) {
	const isScalar = code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
	return isScalar ? String.fromCodePoint(code) : '\ufffd';
}
