// Markdown text to marked's tokens, with raw HTML left as the text it is.

import { Marked } from 'marked';

/** Formulas: \( \), \[ \], $$ $$, and $ $ where no price can be meant. The limits keep an unclosed one cheap. */
const FORMULA = /^(?:\\\([^]{1,1000}?\\\)|\\\[[^]{1,1000}?\\\]|\$\$[^]{1,1000}?\$\$|\$[^\s$](?:[^$\n]{0,500}[^\s$])?\$(?!\d))/;

const markdown = new Marked({
	gfm: true,
	breaks: true,
	extensions: [{
		name: 'formula',
		level: 'inline',
		start: (src) => src.search(/\\[([]|\$/),
		/** A formula stays as it is written: what looks like Markdown in it is not. */
		tokenizer(src) {
			const match = FORMULA.exec(src);
			return match ? { type: 'formula', raw: match[0], text: match[0] } : undefined;
		},
	}],
	tokenizer: {
		/** No HTML blocks: their lines are read like any other text. */
		html() {
			return undefined;
		},
		/** An HTML tag within a line is one token, so that Markdown inside of its attributes stays as written. */
		tag(src) {
			const match = this.rules.inline.tag.exec(src);
			return match ? { type: 'html', raw: match[0], text: match[0] } : undefined;
		},
	},
});

/** Block tokens of `text`. `links` are the link definitions known so far; new ones are added to it. */
export function parseMarkdown(text, links) {
	const lexer = new markdown.Lexer(markdown.defaults);
	Object.assign(lexer.tokens.links, links);
	const tokens = lexer.lex(text);
	Object.assign(links, lexer.tokens.links);
	return tokens;
}
