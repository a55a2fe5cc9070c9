// SPDX-License-Identifier: MIT
// One visit to the page: a browser context of its own, helpers that wait for conditions, and a guard that notes every
// request to a foreign host and every word on the console.

import assert from 'node:assert/strict';
import { INSECURE_HOST } from './chain.mjs';

export const TIMEOUT_MS = 15000;
export const STORAGE_KEY = 'ollama-conversations';

export const DESKTOP = { viewport: { width: 1280, height: 800 } };
export const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };

export class Visit {
	/**
	 * `options`: device, dark, insecure, storage (localStorage before the page opens), init (a script before the page's),
	 * complaints (patterns of console lines that the scenario provokes).
	 */
	static async begin(browser, url, options = {}) {
		const { device = DESKTOP, dark = false, insecure = false, storage = {}, init = null } = options;
		const context = await browser.newContext({ ...device, colorScheme: dark ? 'dark' : 'light', locale: 'en-GB', reducedMotion: 'no-preference' });
		context.setDefaultTimeout(TIMEOUT_MS);
		const visit = new Visit(context, insecure ? url.replace('127.0.0.1', INSECURE_HOST) : url, options.complaints ?? []);
		await context.addInitScript((entries) => {
			if (sessionStorage.getItem('seeded')) return;
			sessionStorage.setItem('seeded', '1');
			for (const [key, value] of Object.entries(entries)) localStorage.setItem(key, value);
		}, storage);
		if (init) await context.addInitScript(init);
		visit.page = await visit.newPage();
		return visit;
	}

	constructor(context, url, complaints) {
		this.context = context;
		this.url = url;
		this.complaints = complaints;
		this.foreign = [];
		this.console = [];
		context.on('request', (request) => {
			if (!/^(data|blob|about):/.test(request.url()) && new URL(request.url()).origin !== new URL(url).origin) this.foreign.push(request.url());
		});
	}

	async newPage() {
		const page = await this.context.newPage();
		page.on('console', (message) => {
			if (['error', 'warning', 'assert'].includes(message.type())) this.console.push(`${message.type()}: ${message.text()}`);
		});
		page.on('pageerror', (error) => this.console.push(`exception: ${error.message}`));
		page.on('crash', () => this.console.push('the page crashed'));
		return page;
	}

	/** Opens the page and waits until it knows its models (or, with `state`, knows that it does not). */
	async open({ path = '', page = this.page, state = 'ready' } = {}) {
		await page.goto(this.url + path);
		if (state) await page.locator(`#picker[data-state="${state}"]`).waitFor();
		return this;
	}

	/** Ends the visit. Whatever the scenario did: no foreign host, and nothing on the console but what it announced. */
	async end() {
		await this.context.close();
		assert.deepEqual(this.foreign, [], 'requests to foreign hosts');
		const unexpected = this.console.filter((line) => !this.complaints.some((pattern) => pattern.test(line)));
		assert.deepEqual(unexpected, [], 'lines on the console');
	}

	// --- doing ---

	async type(text, page = this.page) {
		await page.locator('#input').fill(text);
	}

	async send(text, page = this.page) {
		await this.type(text, page);
		await page.locator('#input').press('Enter');
	}

	/** Sends and waits for the end of the answer; returns its text. */
	async ask(text, page = this.page) {
		const before = await page.locator('.message').count();
		await this.send(text, page);
		await page.locator('.message').nth(before + 1).waitFor();
		await this.idle(page);
		return this.lastAnswer(page);
	}

	async menu(title, choice) {
		const row = this.page.locator('.chat', { hasText: title });
		await row.hover();
		await row.locator('.chat-more').click();
		await this.page.getByRole('menuitem', { name: choice }).click();
	}

	// --- waiting and looking ---

	/** Waits until no answer is running in the open conversation. */
	async idle(page = this.page) {
		await page.locator('#send[data-does="send"]').waitFor();
	}

	/** Waits until `fn(arg)` in the page is true. */
	async until(what, fn, arg, page = this.page) {
		await page.waitForFunction(fn, arg, { timeout: TIMEOUT_MS }).catch((error) => {
			throw new Error(`waited ${TIMEOUT_MS / 1000} s for: ${what}`, { cause: error });
		});
	}

	async sees(text, page = this.page) {
		await page.getByText(text).first().waitFor();
	}

	lastAnswer(page = this.page) {
		return page.locator('.message.assistant .markdown').last().innerText();
	}

	texts(selector, page = this.page) {
		return page.locator(selector).allInnerTexts();
	}

	chats() {
		return this.texts('.chat-name');
	}

	stored(key = STORAGE_KEY, page = this.page) {
		return page.evaluate((name) => JSON.parse(localStorage.getItem(name)), key);
	}

	/** Waits until what is stored satisfies `fn(list)`. */
	async untilStored(what, fn, arg) {
		await this.until(`stored: ${what}`, new Function('arg', `
			const list = JSON.parse(localStorage.getItem('${STORAGE_KEY}') ?? '[]');
			return (${fn})(list, arg);`), arg);
	}

	/** Answers /api/PATH itself: `reply(request)` gives what route.fulfill takes, or 'abort', or null for the real server. */
	async answer(path, reply) {
		await this.page.route(`**/api/${path}`, async (route) => {
			const made = await reply(route.request());
			if (made === null) await route.continue();
			else if (made === 'abort') await route.abort('connectionrefused');
			else await route.fulfill(made);
		});
	}
}

export function json(status, value, headers = {}) {
	return { status, headers: { 'Content-Type': 'application/json', ...headers }, body: JSON.stringify(value) };
}

export function ndjson(...lines) {
	const body = lines.map((line) => `${JSON.stringify(line)}\n`).join('');
	return { status: 200, headers: { 'Content-Type': 'application/x-ndjson' }, body };
}

export function delta(content, more = {}) {
	return { model: 'ollachat-sim', message: { role: 'assistant', content, ...more }, done: false };
}

export const DONE = {
	model: 'ollachat-sim', message: { role: 'assistant', content: '' }, done: true, done_reason: 'stop', eval_count: 100, eval_duration: 2e9,
};

export function chat(id, title, messages, age = 0) {
	const at = new Date(Date.now() - age).toISOString();
	return {
		id, title, createdAt: at, updatedAt: at,
		messages: messages.map(([role, content, more], i) => ({ id: `${id}-${i}`, role, content, timestamp: at, ...more })),
	};
}

/**
 * Runs in the page before its own script: /api/chat is answered by hand. window.hand.push(text), .bytes(array), .end(), .cut()
 * act on the newest request; window.hand.requests are the bodies, .aborted tells whether the page gave up.
 */
export function answerByHand() {
	const real = window.fetch.bind(window);
	const hand = { requests: [], aborted: false };
	window.hand = hand;
	window.fetch = (input, init) => {
		if (!String(input).endsWith('/api/chat')) return real(input, init);
		let controller = null;
		const body = new ReadableStream({ start: (made) => { controller = made; } });
		hand.requests.push({ body: JSON.parse(init.body), headers: { ...init.headers } });
		hand.push = (text) => controller.enqueue(new TextEncoder().encode(text));
		hand.bytes = (bytes) => controller.enqueue(new Uint8Array(bytes));
		hand.line = (value) => hand.push(`${JSON.stringify(value)}\n`);
		hand.write = (content) => hand.line({ message: { role: 'assistant', content }, done: false });
		hand.done = () => {
			hand.line({ message: { role: 'assistant', content: '' }, done: true });
			controller.close();
		};
		hand.end = () => controller.close();
		hand.cut = () => controller.error(new TypeError('network error'));
		init.signal.addEventListener('abort', () => {
			hand.aborted = true;
			controller.error(new DOMException('The user aborted a request.', 'AbortError'));
		});
		return Promise.resolve(new Response(body, { status: 200, headers: { 'Content-Type': 'application/x-ndjson' } }));
	};
}
