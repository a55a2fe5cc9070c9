// One message: the user's words as they are, or an answer with its Markdown, state and actions.

import { copyFrom } from '../clipboard.js';
import { h, icon, iconButton } from '../dom.js';
import { shortName } from '../models.js';
import { MarkdownStream } from '../markdown/stream.js';

/** While an answer grows, drawing it may take at most about this share of the time. */
const REST_FACTOR = 4;

const CLOSED = 'The answer broke off when the page was closed.';

export class MessageView {
	#message;
	#state = {};
	#actions;
	#onResize;
	#parts = {};
	#frame = null;
	#timer = null;
	#restUntil = 0;
	#countdown = null;
	#stateKey = '';

	constructor(message, actions, onResize) {
		this.#message = message;
		this.#actions = actions;
		this.#onResize = onResize;
		this.node = message.role === 'user' ? this.#buildUser() : this.#buildAnswer();
	}

	/** The message may have changed. Text is drawn with the next frame, everything else at once. */
	update(message, state) {
		this.#message = message;
		this.#state = state;
		if (message.role === 'user') {
			this.#parts.text.textContent = message.content;
			return;
		}
		this.#renderState();
		if (this.#isStreaming) this.#schedule();
		else this.#renderText();
	}

	dispose() {
		cancelAnimationFrame(this.#frame);
		clearTimeout(this.#timer);
		clearInterval(this.#countdown);
		this.node.remove();
	}

	get #isStreaming() {
		return Boolean(this.#state.stream) && this.#message.status === 'streaming';
	}

	// --- building ---

	#buildUser() {
		const copy = iconButton('copy', 'Copy message', () => copyFrom(copy, this.#message.content));
		this.#parts.text = h('div', { class: 'bubble', dir: 'auto' });
		return h('article', { class: 'message user' },
			h('h2', { class: 'sr-only' }, 'You'),
			this.#parts.text,
			h('div', { class: 'actions' }, copy));
	}

	#buildAnswer() {
		const copy = iconButton('copy', 'Copy answer', () => copyFrom(copy, this.#message.content));
		const again = iconButton('again', 'Answer again', () => this.#actions.again());
		const text = h('div', { class: 'markdown', dir: 'auto' });
		const thinkingText = h('div', { class: 'thinking-text' });
		const thinkingLabel = h('span');
		this.#parts = {
			copy, again, text, thinkingText, thinkingLabel,
			markdown: new MarkdownStream(text),
			thinking: h('details', { class: 'thinking' }, h('summary', {}, icon('down'), thinkingLabel), thinkingText),
			status: h('div', { class: 'status' }),
			verdict: h('div', { class: 'verdict' }),
			facts: h('span', { class: 'facts' }),
		};
		const { thinking, status, verdict, facts } = this.#parts;
		this.#parts.actions = h('div', { class: 'actions' }, copy, again, facts);
		return h('article', { class: 'message assistant' },
			h('h2', { class: 'sr-only' }, 'Answer'),
			h('img', { class: 'avatar', src: document.querySelector('.brand img').src, width: '30', height: '30', alt: '' }),
			h('div', { class: 'answer' }, thinking, text, status, verdict, this.#parts.actions));
	}

	// --- text ---

	#schedule() {
		if (this.#frame !== null || this.#timer !== null) return;
		const rest = this.#restUntil - performance.now();
		if (rest > 0) {
			this.#timer = setTimeout(() => {
				this.#timer = null;
				this.#schedule();
			}, rest);
			return;
		}
		this.#frame = requestAnimationFrame(() => {
			this.#frame = null;
			const began = performance.now();
			this.#renderText();
			const ended = performance.now();
			this.#restUntil = ended + (ended - began) * REST_FACTOR;
		});
	}

	#renderText() {
		const { thinking = '', content, isError, thinkingSeconds } = this.#message;
		const streaming = this.#isStreaming;
		const parts = this.#parts;
		parts.thinking.hidden = thinking === '';
		if (thinking !== '') {
			growText(parts.thinkingText, thinking);
			parts.thinkingLabel.textContent = thinkingWords(streaming && content === '', thinkingSeconds);
		}
		parts.markdown.update(isError ? '' : content, streaming);
		parts.text.hidden = isError || content === '';
		this.#onResize();
	}

	// --- state ---

	/** Rebuilds the rows below the text, but only when something in them is different. */
	#renderState() {
		const { status, isError, error, content, model, tokensPerSecond, cutShort, retryAt } = this.#message;
		const { stream, isLast } = this.#state;
		const key = JSON.stringify([
			status, isError, error, isError && content, content === '', model, tokensPerSecond, cutShort, retryAt, stream, isLast,
		]);
		if (key === this.#stateKey) return;
		this.#stateKey = key;
		const streaming = this.#isStreaming;
		const parts = this.#parts;
		this.node.classList.toggle('last', isLast);
		this.node.setAttribute('aria-busy', String(streaming));
		parts.status.replaceChildren(...(streaming ? [dots(), h('span', {}, statusWords(stream))] : []));
		parts.status.hidden = !streaming;
		parts.actions.hidden = streaming || isError;
		parts.copy.hidden = content === '' || isError;
		parts.again.hidden = !isLast || isError || status === 'interrupted';
		const rate = tokensPerSecond ? `${formatRate(tokensPerSecond)} tokens/s` : null;
		parts.facts.textContent = isError ? '' : [model && shortName(model), rate].filter(Boolean).join(' · ');
		parts.facts.title = new Date(this.#message.timestamp).toLocaleString();
		this.#renderVerdict();
	}

	#renderVerdict() {
		const { status, isError, error, content, cutShort } = this.#message;
		const { isLast, stream } = this.#state;
		const box = this.#parts.verdict;
		clearInterval(this.#countdown);
		box.className = 'verdict';
		box.replaceChildren();
		if (isError) this.#fillVerdict('error', content, isLast);
		else if (status === 'interrupted') this.#fillVerdict('error', error ?? CLOSED, isLast);
		else if (status === 'streaming' && !stream) this.#fillVerdict('note', 'Being answered in another tab…', false);
		else if (!status && content === '') this.#fillVerdict('note', 'The model had nothing to say.', false);
		else if (status === 'stopped') this.#fillVerdict('note', 'Stopped', false);
		else if (cutShort) this.#fillVerdict('note', 'The answer reached the longest length allowed.', false);
		box.hidden = box.childElementCount === 0;
	}

	#fillVerdict(kind, text, offerRetry) {
		const box = this.#parts.verdict;
		box.classList.add(kind);
		box.append(...(kind === 'error' ? [icon('warn')] : []), h('p', {}, text));
		if (!offerRetry) return;
		const label = h('span', {}, 'Try again');
		box.append(h('button', { type: 'button', class: 'retry', on: { click: () => this.#actions.again() } }, icon('again'), label));
		this.#countDown(label);
	}

	/** The server said when to come back: show it; the button works all the same. */
	#countDown(label) {
		const tick = () => {
			const seconds = Math.ceil(((this.#message.retryAt ?? 0) - Date.now()) / 1000);
			label.textContent = seconds > 0 ? `Try again (best in ${seconds} s)` : 'Try again';
			if (seconds <= 0) clearInterval(this.#countdown);
		};
		this.#countdown = setInterval(tick, 1000);
		tick();
	}
}

/** Appends what is new, so that a long text is not laid out again from its start each time. */
function growText(node, text) {
	const old = node.firstChild;
	if (old && text.startsWith(old.data)) old.appendData(text.slice(old.data.length));
	else node.textContent = text;
}

function dots() {
	return h('span', { class: 'dots', 'aria-hidden': 'true' }, h('i'), h('i'), h('i'));
}

function thinkingWords(isThinking, seconds) {
	if (isThinking) return 'Thinking…';
	if (!seconds) return 'Thoughts';
	return `Thought for ${seconds} ${seconds === 1 ? 'second' : 'seconds'}`;
}

function statusWords({ phase, detail }) {
	if (phase === 'queue') return detail > 0 ? `You are number ${detail} in line` : 'Waiting for a turn';
	if (phase === 'load') return detail >= 2 ? `Loading the model… ${detail} s` : 'Loading the model…';
	return '';
}

function formatRate(rate) {
	return rate >= 10 ? String(Math.round(rate)) : rate.toFixed(1);
}
