// marked's tokens to DOM nodes. Only the elements made here can appear, and text only becomes text nodes or safe links:
// whatever a model writes, nothing is loaded and nothing runs.

import { copyFrom } from '../clipboard.js';
import { h, icon } from '../dom.js';
import { decodeEntities } from './entities.js';
import { highlight, languageName } from './highlight.js';

/** Deeper nesting is shown as it was written: a browser lays out nested elements by recursion. */
const DEEPEST = 60;
const LONGEST_LIVE_COLOURS = 3000;

/** The node of one block token, or null when there is nothing to show. `live`: its text still grows. */
export function renderBlock(token, live = false) {
	return isDeeper(token, DEEPEST) ? h('p', {}, token.raw) : block(token, live);
}

function isDeeper(token, levels) {
	if (levels === 0) return true;
	const cells = token.type === 'table' ? [...token.header, ...token.rows.flat()] : [];
	return [...(token.tokens ?? []), ...(token.items ?? []), ...cells].some((child) => isDeeper(child, levels - 1));
}

function block(token, live) {
	const render = BLOCKS[token.type];
	return render ? render(token, live) : h('p', {}, token.raw ?? '');
}

const BLOCKS = {
	space: () => null,
	def: () => null,
	hr: () => h('hr'),
	paragraph: (token) => h('p', {}, ...inlines(token.tokens)),
	text: (token) => h('p', {}, ...textOf(token)),
	heading: (token) => h(`h${Math.min(token.depth + 2, 6)}`, { class: `heading-${token.depth}` }, ...inlines(token.tokens)),
	blockquote: (token) => h('blockquote', {}, ...blocks(token.tokens)),
	list: renderList,
	code: renderCode,
	table: renderTable,
};

const INLINES = {
	text: (token) => textOf(token),
	escape: (token) => [token.text],
	html: (token) => [/^<br\s*\/?>$/i.test(token.text) ? h('br') : token.text],
	strong: (token) => [h('strong', {}, ...inlines(token.tokens))],
	em: (token) => [h('em', {}, ...inlines(token.tokens))],
	del: (token) => [h('del', {}, ...inlines(token.tokens))],
	formula: (token) => [h('span', { class: 'formula' }, token.text)],
	codespan: (token) => [h('code', {}, token.text)],
	br: () => [h('br')],
	checkbox: (token) => [renderCheckbox(token)],
	link: (token) => [renderLink(token.href, inlines(token.tokens))],
	image: (token) => [renderImage(token)],
};

function blocks(tokens) {
	return tokens.map((token) => block(token, false)).filter(Boolean);
}

function inlines(tokens = []) {
	return tokens.flatMap((token) => (INLINES[token.type] ? INLINES[token.type](token) : [token.raw ?? '']));
}

function textOf(token) {
	return token.tokens ? inlines(token.tokens) : [decodeEntities(token.text)];
}

/** Only absolute web and mail addresses become links: a relative one would point into this page. */
export function safeUrl(href) {
	const text = decodeEntities(href ?? '').trim();
	if (!/^(https?:\/\/|mailto:)/i.test(text)) return null;
	try {
		return new URL(text).href;
	} catch {
		return null;
	}
}

function renderLink(href, children) {
	const url = safeUrl(href);
	if (!url) return h('span', {}, ...children);
	return h('a', { href: url, target: '_blank', rel: 'noopener noreferrer nofollow', title: url }, ...children);
}

/** An image is not loaded, or whoever wrote the answer could learn who reads it. A link says what it would be. */
function renderImage(token) {
	const words = token.text ? decodeEntities(token.text) : 'Image';
	return h('span', { class: 'image-link' }, icon('image'), renderLink(token.href, [words]));
}

function renderCheckbox(token) {
	return h('input', { type: 'checkbox', disabled: true, checked: token.checked, 'aria-label': token.checked ? 'done' : 'to do' });
}

function renderList(token) {
	const start = token.ordered && token.start !== '' && token.start !== 1 ? String(token.start) : null;
	return h(token.ordered ? 'ol' : 'ul', { start }, ...token.items.map((item) => renderItem(item, token.loose)));
}

function renderItem(item, loose) {
	const children = item.tokens.flatMap((token) => {
		if (token.type === 'checkbox') return [renderCheckbox(token)];
		if (token.type === 'text' && !loose) return textOf(token);
		return blocks([token]);
	});
	return h('li', { class: item.task ? 'task' : null }, ...children);
}

function renderTable(token) {
	const cell = (tag) => (entry) => h(tag, { class: entry.align ? `align-${entry.align}` : null }, ...inlines(entry.tokens));
	return h('div', { class: 'table-frame', tabindex: '0', role: 'group', 'aria-label': 'Table' }, h('table', {},
		h('thead', {}, h('tr', {}, ...token.header.map(cell('th')))),
		h('tbody', {}, ...token.rows.map((row) => h('tr', {}, ...row.map(cell('td')))))));
}

/** Code with its language and a copy button. */
function renderCode(token, live) {
	const tag = languageTag(token);
	const name = tag ? languageName(tag) : 'Text';
	const copy = h('button', { type: 'button', class: 'code-copy', 'aria-label': 'Copy code' },
		icon('copy'), h('span', {}, 'Copy'));
	const code = h('code');
	fillCode(code, token, live);
	copy.addEventListener('click', () => copyFrom(copy, code.textContent));
	return h('figure', { class: 'code-block', dataset: { language: tag } },
		h('figcaption', {}, h('span', { class: 'code-language' }, name), copy),
		h('pre', { tabindex: '0', role: 'group', 'aria-label': `Code, ${name}` }, code));
}

/** Makes a code block show `token`, if that is the same code or more of it: who reads it keeps the place. */
export function updateCode(figure, token, live) {
	const code = figure.querySelector('pre > code');
	if (!code || figure.dataset.language !== languageTag(token) || !token.text.startsWith(code.textContent)) return false;
	fillCode(code, token, live);
	return true;
}

/** Long code that still grows gets its colours at the end, or each word would colour all of it anew. */
function fillCode(code, token, live) {
	const more = token.text.slice(code.textContent.length);
	if (!live || token.text.length <= LONGEST_LIVE_COLOURS) {
		code.replaceChildren(highlight(token.text, languageTag(token)) ?? token.text);
	} else if (code.lastChild instanceof Text) {
		code.lastChild.appendData(more);
	} else {
		code.append(more);
	}
}

function languageTag(token) {
	return (token.lang ?? '').trim().split(/[\s{:,]/)[0].toLowerCase();
}
