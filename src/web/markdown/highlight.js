// Code to coloured DOM nodes. highlight.js calls an emitter of our own, so that no HTML text is made on the way.

import hljs from 'highlight.js/lib/core';
import bash from 'highlight.js/lib/languages/bash';
import cpp from 'highlight.js/lib/languages/cpp';
import csharp from 'highlight.js/lib/languages/csharp';
import css from 'highlight.js/lib/languages/css';
import diff from 'highlight.js/lib/languages/diff';
import dockerfile from 'highlight.js/lib/languages/dockerfile';
import go from 'highlight.js/lib/languages/go';
import ini from 'highlight.js/lib/languages/ini';
import java from 'highlight.js/lib/languages/java';
import javascript from 'highlight.js/lib/languages/javascript';
import json from 'highlight.js/lib/languages/json';
import php from 'highlight.js/lib/languages/php';
import python from 'highlight.js/lib/languages/python';
import rust from 'highlight.js/lib/languages/rust';
import shell from 'highlight.js/lib/languages/shell';
import sql from 'highlight.js/lib/languages/sql';
import typescript from 'highlight.js/lib/languages/typescript';
import xml from 'highlight.js/lib/languages/xml';
import yaml from 'highlight.js/lib/languages/yaml';

const LANGUAGES = {
	bash, cpp, csharp, css, diff, dockerfile, go, ini, java, javascript, json, php, python, rust, shell, sql, typescript, xml, yaml,
};

/** Where the library's name for a tag is not what one would call it. */
const NAMES = new Map(Object.entries({
	c: 'C', h: 'C', html: 'HTML', xml: 'XML', svg: 'SVG', toml: 'TOML', ini: 'INI', sh: 'Shell', console: 'Shell',
	jsx: 'JSX', tsx: 'TSX',
}));

/** Longer code is shown plain: colouring it would make the page stutter. */
const LONGEST = 60000;

/** What highlight.js calls an emitter: it is told of text and of scopes that open and close. */
class DomEmitter {
	constructor() {
		this.root = document.createDocumentFragment();
		this.open = [this.root];
	}

	get top() {
		return this.open[this.open.length - 1];
	}

	addText(text) {
		if (text !== '') this.top.append(text);
	}

	startScope(scope) {
		const span = document.createElement('span');
		span.className = scope.split('.').map((part, depth) => (depth === 0 ? `hljs-${part}` : part + '_'.repeat(depth))).join(' ');
		this.top.append(span);
		this.open.push(span);
	}

	endScope() {
		this.open.pop();
	}

	openNode(scope) {
		this.startScope(scope);
	}

	closeNode() {
		this.endScope();
	}

	__addSublanguage(emitter) {
		this.top.append(emitter.root);
	}

	finalize() {}

	toHTML() {
		return '';
	}
}

for (const [name, language] of Object.entries(LANGUAGES)) hljs.registerLanguage(name, language);
hljs.registerAliases(['c', 'h'], { languageName: 'cpp' }); // C's own grammar would be another 5 KB
hljs.configure({ __emitter: DomEmitter });

/** Coloured nodes for `code`, or null when the language is not one of ours. */
export function highlight(code, language) {
	if (code.length > LONGEST || !hljs.getLanguage(language)) return null;
	try {
		return hljs.highlight(code, { language, ignoreIllegals: true })._emitter.root;
	} catch {
		return null;
	}
}

/** How a language is called on the code's head line. */
export function languageName(tag) {
	return NAMES.get(tag) ?? hljs.getLanguage(tag)?.name ?? tag;
}
