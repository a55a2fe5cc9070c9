// SPDX-License-Identifier: MIT
// Sizes, colours, keyboard and ears: desktop and phone, light and dark.

import assert from 'node:assert/strict';
import { chat, DESKTOP, json, PHONE, STORAGE_KEY } from '../visit.mjs';

const RICH = 'Show me a table, a list and some code.';
const DAY = 86400000;
const SOME_CHATS = { [STORAGE_KEY]: JSON.stringify([
	chat('1', 'Three ways from Paris to Rome', [['user', 'a'], ['assistant', 'b']], 0),
	chat('2', 'Longest word in a text', [['user', 'a'], ['assistant', 'b']], 1),
	chat('3', 'A letter to the landlord', [['user', 'a'], ['assistant', 'b']], DAY),
	chat('4', 'Bread without a machine', [['user', 'a'], ['assistant', 'b']], 9 * DAY),
]) };

export default [
	{
		name: 'nothing is wider than the screen, at any width',
		async run(v) {
			await v.open();
			await v.ask(RICH);
			for (const width of [1280, 1024, 800, 768, 767, 600, 390, 320]) {
				await v.page.setViewportSize({ width, height: 844 });
				const over = await v.page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
				assert.ok(over <= 0, `${over} px too wide at ${width}`);
				const box = await v.page.locator('#composer').boundingBox();
				assert.ok(box.x >= 0 && box.x + box.width <= width && box.y + box.height <= 844, `the box is in the window at ${width}`);
			}
		},
	},
	{
		name: 'a phone: drawer, touch targets, a chat',
		device: PHONE,
		storage: SOME_CHATS,
		async run(v) {
			await v.open();
			await v.shot('phone-welcome');
			await bigEnough(v);
			const sidebar = v.page.locator('#sidebar');
			assert.equal(await sidebar.isVisible(), false);
			await v.page.locator('#open-drawer').tap();
			await v.page.locator('#app.drawer-open').waitFor();
			await still(v, '#sidebar');
			await bigEnough(v, '#sidebar');
			await v.shot('phone-drawer');
			assert.equal(await v.page.locator('#page').evaluate((node) => node.inert), true);
			await v.page.keyboard.press('Escape');
			await sidebar.waitFor({ state: 'hidden' });
			await v.page.locator('#open-drawer').tap();
			await v.page.locator('#app.drawer-open').waitFor();
			await still(v, '#sidebar');
			await v.page.touchscreen.tap(380, 400);
			await sidebar.waitFor({ state: 'hidden' });
			await v.page.locator('#open-drawer').tap();
			await v.page.locator('.chat-open', { hasText: 'landlord' }).tap();
			await sidebar.waitFor({ state: 'hidden' });
			assert.equal(await v.page.title(), 'A letter to the landlord – Ollachat');
			await v.page.locator('#new-chat-top').tap();
			await v.page.locator('#welcome').waitFor();
			await v.type(RICH);
			await v.page.locator('#send').tap();
			await v.page.locator('.message.assistant').waitFor();
			await v.idle();
			await bigEnough(v);
			const table = v.page.locator('.table-frame').first();
			assert.ok(await table.evaluate((node) => node.getBoundingClientRect().right <= window.innerWidth), 'a wide table scrolls within its frame');
		},
	},
	{
		name: 'dark follows the system',
		dark: true,
		storage: SOME_CHATS,
		async run(v) {
			await v.open();
			assert.equal(await theme(v), 'dark');
			await v.shot('welcome-dark');
			await contrast(v);
			await v.ask(RICH);
			await contrast(v);
			await v.page.emulateMedia({ colorScheme: 'light' });
			await v.until('light', () => document.documentElement.dataset.theme === 'light');
		},
	},
	...[['', false], ['-dark', true]].flatMap(([suffix, dark]) => [['', DESKTOP], ['phone-', PHONE]].map(([prefix, device]) => ({
		name: `a picture of a chat: ${prefix}chat${suffix}`,
		dark,
		device,
		storage: SOME_CHATS,
		async run(v) {
			await v.open();
			await v.ask('Show me a table and a few lines of Python.');
			assert.equal(await v.page.locator('#jump').isVisible(), false, 'the end is in sight');
			await v.shot(`${prefix}chat${suffix}`);
			await contrast(v);
		},
	}))),
	{
		name: 'a phone in the dark',
		dark: true,
		device: PHONE,
		async run(v) {
			await v.open();
			await v.shot('phone-welcome-dark');
			await contrast(v);
		},
	},
	{
		name: 'the choice of colours is remembered, and set before the first paint',
		storage: SOME_CHATS,
		async run(v) {
			await v.open();
			assert.equal(await theme(v), 'light');
			await v.page.getByRole('button', { name: 'Switch to dark colours' }).click();
			assert.equal(await theme(v), 'dark');
			await v.page.route('**/main-*.js', (route) => route.abort());
			v.complaints.push(/Failed to load resource/);
			await v.page.reload();
			assert.equal(await theme(v), 'dark', 'without the main script');
			await v.page.unroute('**/main-*.js');
			await v.open();
			await v.page.getByRole('button', { name: 'Switch to light colours' }).click();
			assert.equal(await v.page.evaluate(() => localStorage.getItem('ollachat-theme')), null, 'back to what the system says');
			await v.ask(RICH);
			await contrast(v);
		},
	},
	{
		name: 'every control has a name, there are landmarks, and the keyboard reaches everything',
		storage: SOME_CHATS,
		async run(v) {
			await v.open();
			await v.ask(RICH);
			const nameless = await v.page.evaluate(() => [...document.querySelectorAll('button, a, input, textarea, dialog, nav, [role="region"]')]
				.filter((node) => !(node.getAttribute('aria-label') || node.getAttribute('aria-labelledby') || node.labels?.length || node.textContent.trim()))
				.map((node) => node.outerHTML));
			assert.deepEqual(nameless, []);
			for (const tag of ['main', 'nav', 'header', 'aside', 'h1']) assert.equal(await v.page.locator(tag).count(), 1, tag);
			const ids = await v.page.evaluate(() => [...document.querySelectorAll('[id]')].map(({ id }) => id));
			assert.equal(new Set(ids).size, ids.length, 'ids are unique');
			await v.page.evaluate(() => document.activeElement.blur());
			const reached = new Set();
			for (let i = 0; i < 60; i++) {
				await v.page.keyboard.press('Tab');
				const { what, ring } = await v.page.evaluate(() => {
					const node = document.activeElement;
					const style = getComputedStyle(node);
					return { what: node.id || node.className, ring: style.outlineStyle !== 'none' || node.id === 'input' || node === document.body };
				});
				assert.ok(ring, `${what} shows that it has the focus`);
				reached.add(what);
			}
			for (const what of ['new-chat', 'picker', 'about', 'theme', 'input', 'scroller', 'chat-open', 'icon-button chat-more', 'code-copy']) {
				assert.ok(reached.has(what), `${what} is reached by Tab: ${[...reached]}`);
			}
		},
	},
	{
		name: 'the model picker: keyboard, choice, memory',
		async run(v) {
			const asked = [];
			const details = [
				{ name: 'only-embeds:latest', capabilities: ['embedding'] },
				{ name: 'llama3.2:1b', size: 1321098329, parameter_size: '1.2B', quantization_level: 'Q8_0', capabilities: ['completion', 'tools'] },
			];
			const names = ['ollachat-sim:latest', 'llama3.2:1b', 'only-embeds:latest'];
			await v.answer('models', () => json(200, { models: names, count: 3, default: names[0], details }));
			await v.answer('chat', (request) => {
				asked.push(request.postDataJSON().model);
				return null;
			});
			v.complaints.push(/Failed to load resource/); // the stand-in does not have the second model
			await v.open();
			await v.page.locator('#picker').focus();
			await v.page.keyboard.press('Enter');
			const menu = v.page.getByRole('menu', { name: 'Models' });
			await menu.waitFor();
			assert.match(await menu.innerText(), /1\.2B · Q8_0 · 1\.3 GB · uses tools/);
			assert.deepEqual(await v.texts('.menu-label'), ['ollachat-sim', 'llama3.2:1b'], 'only what can chat, short');
			await v.page.keyboard.press('Escape');
			await menu.waitFor({ state: 'detached' });
			assert.equal(await v.page.evaluate(() => document.activeElement.id), 'picker', 'the focus comes back');
			await v.page.keyboard.press('Enter');
			await v.page.keyboard.press('ArrowDown');
			await v.page.keyboard.press('Enter');
			assert.equal(await v.page.locator('#picker-name').innerText(), 'llama3.2:1b');
			await v.page.reload();
			await v.page.locator('#picker-name', { hasText: 'llama3.2:1b' }).waitFor();
			await v.send('hello');
			await v.page.locator('.message.assistant').waitFor();
			await v.idle();
			assert.deepEqual(asked, ['llama3.2:1b']);
		},
	},
	{
		name: 'About says version and place',
		async run(v) {
			await v.open();
			const { version } = await (await v.context.request.get(`${v.url}config.json`)).json();
			assert.match(version, /^\d+\.\d+/);
			await v.page.getByRole('button', { name: 'About', exact: true }).click();
			const dialog = v.page.getByRole('dialog', { name: 'About' });
			await dialog.waitFor();
			assert.ok((await dialog.innerText()).includes(version));
			const licences = await dialog.getByRole('link').getAttribute('href');
			const reply = await v.context.request.get(new URL(licences, v.url).href);
			assert.equal(reply.status(), 200);
			assert.match(await reply.text(), /Permission is hereby granted/);
			await v.page.keyboard.press('Escape');
			await dialog.waitFor({ state: 'hidden' });
			assert.equal(await v.page.evaluate(() => document.activeElement.id), 'about');
		},
	},
	{
		name: 'less motion where it is asked for',
		async run(v) {
			await v.page.emulateMedia({ reducedMotion: 'reduce' });
			await v.open();
			const longest = await v.page.evaluate(() => Math.max(...[...document.querySelectorAll('*')]
				.map((node) => parseFloat(getComputedStyle(node).transitionDuration) || 0)));
			assert.ok(longest < 0.001, `transitions of ${longest} s`);
		},
	},
];

function theme(v) {
	return v.page.evaluate(() => document.documentElement.dataset.theme);
}

/** Waits until the element has stopped moving. */
async function still(v, selector) {
	await v.until(`${selector} at rest`, (name) => document.querySelector(name).getAnimations().length === 0, selector);
}

/** Everything one taps is at least 44 px each way (text links within text excepted). */
async function bigEnough(v, within = 'body') {
	const small = await v.page.evaluate((root) => [...document.querySelectorAll(`${root} :is(button, input, summary, textarea)`)]
		.filter((node) => node.checkVisibility({ visibilityProperty: true }) && !node.closest('[inert]') && !node.disabled)
		.map((node) => ({ what: node.id || node.className, box: node.getBoundingClientRect() }))
		.filter(({ what, box }) => what !== 'code-copy' && (box.width < 44 || box.height < 40))
		.map(({ what, box }) => `${what} ${box.width}x${box.height}`), within);
	assert.deepEqual(small, [], 'too small to tap');
}

/** WCAG AA for all text that is on the screen, against the nearest background. */
async function contrast(v) {
	const poor = await v.page.evaluate(() => {
		const channels = (colour) => colour.match(/[\d.]+/g).map(Number);
		const luminance = ([r, g, b]) => {
			const [x, y, z] = [r, g, b].map((value) => (value / 255 <= 0.03928 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
			return 0.2126 * x + 0.7152 * y + 0.0722 * z;
		};
		const background = (node) => {
			for (let at = node; at; at = at.parentElement) {
				const colour = channels(getComputedStyle(at).backgroundColor);
				if (colour.length === 3 || colour[3] === 1) return colour;
			}
			return [255, 255, 255];
		};
		const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
		const found = new Set();
		while (texts.nextNode()) {
			const node = texts.currentNode.parentElement;
			const shown = node.checkVisibility({ opacityProperty: true, visibilityProperty: true });
			if (!shown || !texts.currentNode.data.trim() || node.closest('.sr-only, :disabled')) continue;
			const style = getComputedStyle(node);
			const [a, b] = [luminance(channels(style.color)), luminance(background(node))].sort((x, y) => y - x);
			const ratio = (a + 0.05) / (b + 0.05);
			if (ratio < 4.5) found.add(`${node.className || node.tagName} "${texts.currentNode.data.trim().slice(0, 20)}" ${ratio.toFixed(2)}`);
		}
		return [...found];
	});
	assert.deepEqual(poor, [], 'contrast under 4.5');
}
