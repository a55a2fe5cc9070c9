// Shows growing Markdown. Blocks that can no longer change are kept as they are; only the tail of the text is read
// again, so that the work for a long answer grows with its length and not with its square.

import { h } from '../dom.js';
import { parseMarkdown } from './parse.js';
import { renderBlock, updateCode } from './render.js';

/** Blocks at the end that further text may still change: "1. a", blank line, "2" is a list and a paragraph until ". b" comes. */
const TAIL_BLOCKS = 2;
/** Longer text is shown plain: it is no answer a person would read, and parsing it could hold up the page. */
const LONGEST = 1000000;

export class MarkdownStream {
	#root;
	#text = '';
	#links = {};
	#blocks = []; // { raw, live, node }, one for each token shown
	#open = 0; // index in #blocks of the first that may still change
	#openAt = 0; // where its text begins

	constructor(root) {
		this.#root = root;
	}

	/** Shows `text`; `growing` tells that more will come. */
	update(text, growing) {
		if (!text.startsWith(this.#text)) this.#clear();
		this.#text = text;
		try {
			if (text.length > LONGEST) this.#showPlain();
			else if (growing) this.#grow();
			else this.#finish();
		} catch {
			this.#showPlain(); // the parser gives up on, say, thousands of nested quotes
		}
	}

	#clear() {
		this.#root.replaceChildren();
		this.#links = {};
		this.#blocks = [];
		this.#open = 0;
		this.#openAt = 0;
	}

	#grow() {
		const tokens = parseMarkdown(this.#text.slice(this.#openAt), this.#links);
		this.#show(tokens, true);
		const finished = this.#countFinished(tokens);
		for (const token of tokens.slice(0, finished)) this.#openAt += token.raw.length;
		this.#open += finished;
	}

	/** The whole text once more, now that all of it is there: a link may be defined after its use. */
	#finish() {
		const links = {};
		const tokens = parseMarkdown(this.#text, links);
		if (Object.keys(links).length > 0) this.#clear();
		this.#open = 0;
		this.#openAt = 0;
		this.#links = links;
		this.#show(tokens, false);
	}

	/** All tokens but the last TAIL_BLOCKS that are more than white space. */
	#countFinished(tokens) {
		let kept = 0;
		for (let i = tokens.length - 1; i >= 0; i--) {
			if (tokens[i].type !== 'space') kept++;
			if (kept === TAIL_BLOCKS) return this.#isVerbatim(tokens.slice(0, i)) ? i : 0;
		}
		return 0;
	}

	/** The parser normalises line ends: count only on tokens that are in the text letter by letter. */
	#isVerbatim(tokens) {
		let at = this.#openAt;
		return tokens.every((token) => {
			const here = this.#text.startsWith(token.raw, at);
			at += token.raw.length;
			return here;
		});
	}

	/** Makes the open blocks those of `tokens`; a block that did not change keeps its node. */
	#show(tokens, growing) {
		const old = this.#blocks.slice(this.#open);
		const fresh = tokens.map((token, i) => {
			const live = growing && i === tokens.length - 1;
			return keepBlock(old[i], token, live) ?? { raw: token.raw, live, node: renderBlock(token, live) };
		});
		const kept = new Set(fresh.map((block) => block.node));
		for (const block of old) if (!kept.has(block.node)) block.node?.remove();
		this.#blocks.splice(this.#open, old.length, ...fresh);
		this.#place(fresh);
	}

	/** Puts the nodes of the last blocks at the end of the root, touching only those that are not there yet. */
	#place(blocks) {
		let next = null;
		for (let i = blocks.length - 1; i >= 0; i--) {
			const node = blocks[i].node;
			if (!node) continue;
			if (node.parentNode !== this.#root) this.#root.insertBefore(node, next);
			next = node;
		}
	}

	#showPlain() {
		this.#clear();
		this.#root.append(h('pre', { class: 'plain' }, this.#text));
	}
}

/** The block, if its node can stay for `token`: unchanged, or code that only got longer. */
function keepBlock(block, token, live) {
	if (!block) return null;
	if (token.type !== 'code') return block.raw === token.raw ? block : null;
	if (block.raw === token.raw && block.live === live) return block;
	return block.live && block.node && updateCode(block.node, token, live) ? { ...block, raw: token.raw, live } : null;
}
