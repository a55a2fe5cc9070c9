// Talks to the backend. Every failure comes out as an ApiError whose text a person can act on.

import { NdjsonParser } from './ndjson.js';

const LIST_TIMEOUT_MS = 15000;

const WORDS = {
	401: 'This server asks for an access key.',
	403: 'The server does not allow this request.',
	404: 'The chat service was not found at this address.',
	408: 'The request took too long to arrive.',
	413: 'This conversation is too long for the server. Start a new chat.',
	429: 'Too many requests at the moment.',
	500: 'The server had an internal problem.',
	502: 'The language model cannot be reached at the moment.',
	503: 'The chat service is busy or starting up.',
	504: 'The language model took too long to answer.',
};
const UNREACHABLE = 'The server cannot be reached. Check the connection and try again.';
const CUT_OFF = 'The answer broke off before its end.';

export class ApiError extends Error {
	constructor(text, { status = 0, retryAfter = 0 } = {}) {
		super(text);
		this.name = 'ApiError';
		this.status = status;
		this.retryAfter = retryAfter; // seconds, 0 = not said
	}
}

export class Api {
	#base;
	#getKey;
	#onInstance;

	/** `getKey` gives the access key or null; `onInstance` hears which instance answered. */
	constructor({ base = '', getKey, onInstance }) {
		this.#base = base.replace(/\/+$/, '');
		this.#getKey = getKey;
		this.#onInstance = onInstance;
	}

	/** -> { list: [{ name, ... }], default } */
	async models() {
		const timeout = new AbortController();
		const timer = setTimeout(() => timeout.abort(), LIST_TIMEOUT_MS);
		try {
			const reply = await this.#fetch('/api/models', { signal: timeout.signal, cache: 'no-store' });
			return readModels(await reply.json());
		} catch (error) {
			throw error instanceof ApiError ? error : new ApiError(UNREACHABLE);
		} finally {
			clearTimeout(timer);
		}
	}

	/**
	 * Asks for an answer and calls `onLine` with each line of it. Resolves with the last line when the answer is whole;
	 * rejects with an ApiError, or with an AbortError after `signal`.
	 */
	async chat({ model, messages, signal, onLine }) {
		const body = JSON.stringify({ ...(model ? { model } : {}), messages, stream: true });
		const headers = { 'Content-Type': 'application/json', 'X-Ollachat-Progress': '1' };
		const reply = await this.#fetch('/api/chat', { method: 'POST', headers, body, signal });
		let last = null;
		await readLines(reply, signal, (line) => {
			if (typeof line !== 'object' || line === null) throw new ApiError(CUT_OFF);
			if (line.error) throw errorFromLine(line);
			if (line.done === true) last = line;
			onLine(line);
		});
		if (!last) throw new ApiError(CUT_OFF);
		return last;
	}

	async #fetch(path, options) {
		const headers = { ...options.headers };
		const key = this.#getKey();
		if (key) headers.Authorization = `Bearer ${key}`;
		let reply;
		try {
			reply = await fetch(this.#base + path, { ...options, headers, credentials: 'same-origin' });
		} catch (error) {
			throw error.name === 'AbortError' ? error : new ApiError(UNREACHABLE);
		}
		const instance = reply.headers.get('X-Ollachat-Instance');
		if (instance) this.#onInstance(instance);
		if (!reply.ok) throw await errorFromReply(reply);
		return reply;
	}
}

/** The page's own settings; a server that has none means: everything is on this origin. */
export async function loadConfig() {
	try {
		const reply = await fetch('/config.json', { cache: 'no-store' });
		const config = await reply.json();
		return { base: String(config.api_base ?? ''), version: String(config.version ?? '') };
	} catch {
		return { base: '', version: '' };
	}
}

async function readLines(reply, signal, onLine) {
	const parser = new NdjsonParser(onLine);
	const reader = reply.body.getReader();
	try {
		for (;;) {
			const { value, done } = await reader.read();
			if (done) break;
			parser.feed(value);
		}
		parser.end();
	} catch (error) {
		reader.cancel().catch(() => {});
		if (signal?.aborted || error instanceof ApiError) throw error;
		throw new ApiError(CUT_OFF);
	}
}

function readModels(value) {
	const names = Array.isArray(value?.models) ? value.models.filter((name) => typeof name === 'string') : [];
	const details = Array.isArray(value?.details) ? value.details : [];
	const list = names.map((name) => ({ ...details.find((detail) => detail?.name === name), name }));
	return { list: list.filter(canChat), default: typeof value?.default === 'string' ? value.default : null };
}

/** A model that says what it can do and does not name completion (one that only embeds, say) is not for chatting. */
function canChat({ capabilities }) {
	return !Array.isArray(capabilities) || capabilities.length === 0 || capabilities.includes('completion');
}

async function errorFromReply(reply) {
	let text = '';
	try {
		const error = (await reply.json()).error;
		text = typeof error === 'string' ? error : String(error?.message ?? '');
	} catch { /* not JSON: a proxy's page, say */ }
	const fallback = WORDS[reply.status] ?? `The server answered with status ${reply.status}.`;
	const retryAfter = seconds(reply.headers.get('Retry-After'));
	return new ApiError(asSentence(text) || fallback, { status: reply.status, retryAfter });
}

function errorFromLine(line) {
	const text = typeof line.error === 'string' ? line.error : String(line.error.message ?? CUT_OFF);
	return new ApiError(asSentence(text), { status: Number(line.status) || 0, retryAfter: seconds(line.retry_after) });
}

/** Retry-After as seconds; its other form is a date. */
function seconds(value) {
	if (value === null || value === undefined || value === '') return 0;
	const number = Number(value);
	const span = Number.isFinite(number) ? number : (Date.parse(value) - Date.now()) / 1000;
	return Number.isFinite(span) ? Math.min(Math.max(Math.ceil(span), 0), 3600) : 0;
}

function asSentence(text) {
	const trimmed = text.trim();
	return trimmed && trimmed[0].toUpperCase() + trimmed.slice(1);
}
