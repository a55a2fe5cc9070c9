// SPDX-License-Identifier: MIT
// Conversations: kept, switched, renamed, deleted; those of the application before this one; broken and full storage.

import assert from 'node:assert/strict';
import { answerByHand, chat, delta, DONE, ndjson, STORAGE_KEY } from '../visit.mjs';

const DAY = 86400000;

export default [
	{
		name: 'a conversation is still there after a reload, and in a new visit to the bare address',
		async run(v) {
			await v.open();
			const answer = await v.ask('hello there');
			await v.untilStored('the answer', (list) => list[0]?.messages.length === 2 && !list[0].messages[1].status);
			await v.page.reload();
			await v.sees('hello there');
			assert.equal(await v.lastAnswer(), answer);
			await v.open();
			assert.equal(await v.page.locator('.message').count(), 0, 'the bare address is a new chat');
			await v.page.locator('.chat-open', { hasText: 'hello there' }).click();
			assert.equal(await v.lastAnswer(), answer);
		},
	},
	{
		name: 'switching while one is being answered: it goes on, and each box keeps its draft',
		init: answerByHand,
		async run(v) {
			await v.open();
			await v.send('Show me a list of alpha things');
			await v.until('the request', () => window.hand.requests.length === 1);
			await v.page.evaluate(() => window.hand.write('Some words'));
			await v.sees('Some words');
			await v.type('draft of alpha');
			await v.page.locator('#new-chat').click();
			assert.equal(await v.page.locator('#input').inputValue(), '');
			assert.equal(await v.page.locator('.message').count(), 0);
			assert.equal(await v.page.locator('#send').getAttribute('aria-label'), 'Send');
			await v.page.locator('.chat .chat-running').waitFor();
			await v.page.evaluate(() => window.hand.write(' and more'));
			await v.untilStored('more of the answer', (list) => list[0].messages[1].content === 'Some words and more');
			await v.page.locator('.chat-open', { hasText: 'alpha' }).click();
			assert.equal(await v.lastAnswer(), 'Some words and more');
			assert.equal(await v.page.locator('#input').inputValue(), 'draft of alpha');
			assert.equal(await v.page.locator('#send').getAttribute('aria-label'), 'Stop');
			await v.page.evaluate(() => window.hand.done());
			await v.idle();
			await v.page.locator('.chat .chat-running').waitFor({ state: 'detached' });
			await v.page.goBack();
			await v.until('the new chat again', () => document.querySelectorAll('.message').length === 0);
			await v.page.goForward();
			await v.page.locator('.message').first().waitFor();
			assert.match(await v.page.title(), /^Show me a list of alpha/);
		},
	},
	{
		name: 'rename, with Enter, Escape and from the keyboard alone',
		storage: { [STORAGE_KEY]: JSON.stringify([chat('1', 'Old name', [['user', 'hi'], ['assistant', 'hello']])]) },
		async run(v) {
			await v.open();
			await v.menu('Old name', 'Rename');
			const field = v.page.locator('.chat-rename');
			await field.fill('Something else');
			await field.press('Escape');
			assert.deepEqual(await v.chats(), ['Old name']);
			const more = v.page.locator('.chat-more');
			await more.focus();
			await v.page.keyboard.press('Enter');
			await v.page.keyboard.press('Enter');
			await field.fill('New <b>name</b>');
			await field.press('Enter');
			assert.deepEqual(await v.chats(), ['New <b>name</b>']);
			await v.untilStored('the name', (list) => list[0].title === 'New <b>name</b>');
			await v.page.locator('.chat-open').click();
			assert.equal(await v.page.title(), 'New <b>name</b> – Ollachat');
			await v.page.reload();
			await v.page.locator('.chat-name', { hasText: 'New <b>name</b>' }).waitFor();
		},
	},
	{
		name: 'delete, undo, delete',
		storage: { [STORAGE_KEY]: JSON.stringify([chat('1', 'Keep me', [['user', 'hi']]), chat('2', 'Drop me', [['user', 'ho']], 1000)]) },
		async run(v) {
			await v.open();
			await v.page.locator('.chat-open', { hasText: 'Drop me' }).click();
			await v.menu('Drop me', 'Delete');
			assert.deepEqual(await v.chats(), ['Keep me']);
			assert.equal(await v.page.locator('#welcome').isVisible(), true, 'the open chat is gone');
			assert.deepEqual((await v.stored()).map(({ id }) => id), ['1']);
			await v.page.getByRole('button', { name: 'Undo' }).click();
			assert.deepEqual(await v.chats(), ['Keep me', 'Drop me']);
			await v.page.locator('.bubble', { hasText: 'ho' }).waitFor();
			assert.deepEqual((await v.stored()).map(({ id }) => id), ['1', '2']);
			await v.menu('Drop me', 'Delete');
			await v.page.reload();
			await v.page.locator('.chat-name', { hasText: 'Keep me' }).waitFor();
			assert.deepEqual(await v.chats(), ['Keep me']);
		},
	},
	{
		name: 'chats of the application before this one are taken over and stay readable for it',
		storage: { [STORAGE_KEY]: JSON.stringify(oldChats()) },
		init: answerByHand,
		async run(v) {
			await v.open();
			assert.deepEqual(await v.chats(), ['Explain quantum computing', 'Write a Python function', 'Long ago']);
			const days = await v.texts('.day h2');
			assert.deepEqual(days.slice(0, 2), ['Today', 'Yesterday']);
			assert.match(days[2], /\d/);
			await v.page.locator('.chat-open', { hasText: 'quantum' }).click();
			assert.deepEqual(await v.texts('.message.assistant .markdown:visible'), ['Qubits are strange.']);
			assert.match(await v.page.locator('.verdict.error').innerText(), /Sorry, I encountered an error/);
			await v.send('and now?');
			await v.until('the request', () => window.hand.requests.length === 1);
			assert.deepEqual(await v.page.evaluate(() => window.hand.requests[0].body.messages), [
				{ role: 'user', content: 'Explain quantum computing' }, { role: 'assistant', content: 'Qubits are strange.' },
				{ role: 'user', content: 'More please' }, { role: 'user', content: 'and now?' },
			]);
			await v.page.evaluate(() => { window.hand.write('Still strange.'); window.hand.done(); });
			await v.idle();
			await v.untilStored('the new answer', (list) => list[0].messages.at(-1).content === 'Still strange.');
			const list = await v.stored();
			assert.deepEqual(list.map(({ id }) => id), ['1700000000003', '1700000000002', '1600000000000']);
			for (const { id, title, createdAt, messages } of list) {
				assert.equal(typeof id, 'string');
				assert.equal(typeof title, 'string');
				assert.equal(new Date(createdAt).toISOString(), createdAt);
				for (const message of messages) {
					assert.deepEqual(['id', 'role', 'content', 'timestamp'].map((key) => typeof message[key]), ['string', 'string', 'string', 'string']);
				}
			}
		},
	},
	{
		name: 'storage that cannot be read is put aside, and the page works',
		storage: { [STORAGE_KEY]: '[{"id": "1", "title": "bro' },
		async run(v) {
			await v.open();
			await v.sees(/could not be read/);
			await v.ask('hello');
			await v.untilStored('the new chat', (list) => list.length === 1);
			assert.equal(await v.page.evaluate(() => localStorage.getItem('ollama-conversations-unreadable')), '[{"id": "1", "title": "bro');
			await v.page.getByRole('button', { name: 'OK' }).click();
			assert.equal(await v.page.locator('.notice').count(), 0);
		},
	},
	{
		name: 'odd entries in the storage do no harm',
		storage: { [STORAGE_KEY]: JSON.stringify([
			null, 7, { id: 'x' }, { id: 'empty', title: 'New Chat', messages: [] },
			{ id: 5, messages: [{ role: 'user', content: 'number id' }] },
			{ id: 'y', title: 3, createdAt: 'never', messages: [{ role: 'user', content: 'odd' }, { role: 'assistant' }, null] },
		]) },
		async run(v) {
			await v.open();
			assert.equal(await v.page.locator('.chat').count(), 2);
			await v.page.locator('.chat-open').last().click();
			assert.equal(await v.page.locator('.message').count(), 1);
		},
	},
	{
		name: 'full storage is said, and the running chat is not lost',
		storage: { [STORAGE_KEY]: JSON.stringify([chat('1', 'Big one', [['user', 'x'.repeat(1000)]], DAY)]) },
		init: () => {
			// As if the browser kept 2000 characters.
			const real = Storage.prototype.setItem;
			Storage.prototype.setItem = function (key, value) {
				if (value.length > 2000) throw new DOMException('full', 'QuotaExceededError');
				real.call(this, key, value);
			};
		},
		async run(v) {
			await v.open();
			await v.answer('chat', () => ndjson(delta('short'), DONE));
			await v.ask('a'.repeat(600));
			await v.sees(/storage is full/);
			assert.equal(await v.page.locator('.message').count(), 2, 'the chat goes on');
			assert.equal((await v.stored()).length, 1, 'what was stored is still there');
			await v.menu('Big one', 'Delete');
			await v.page.locator('.notice').waitFor({ state: 'detached' });
			assert.deepEqual((await v.stored()).map(({ title }) => title), [`${'a'.repeat(30)}...`], 'saved once there was room');
		},
	},
	{
		name: 'storage switched off altogether',
		init: () => {
			Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('denied', 'SecurityError'); } });
		},
		async run(v) {
			await v.open();
			await v.ask('hello');
			await v.sees(/keeps nothing for this page/);
			assert.equal(await v.page.locator('.message').count(), 2);
		},
	},
	{
		name: 'what another tab has stored a moment ago is not overwritten',
		async run(v) {
			await v.open();
			await v.ask('mine');
			await v.untilStored('mine', (list) => list.length === 1 && list[0].messages.length === 2);
			// Written from within this page, so that no storage event tells it.
			await v.page.evaluate(([key, theirs]) => {
				localStorage.setItem(key, JSON.stringify([theirs, ...JSON.parse(localStorage.getItem(key))]));
			}, [STORAGE_KEY, chat('77', 'theirs', [['user', 'theirs']])]);
			await v.ask('mine again');
			await v.untilStored('both', (list) => list.length === 2
				&& list.some(({ id }) => id === '77') && list.some(({ messages }) => messages.length === 4));
		},
	},
	{
		name: 'two tabs see each other and lose nothing of each other',
		async run(v) {
			await v.open();
			const other = await v.newPage();
			await v.open({ page: other });
			await v.ask('from the first tab');
			await other.locator('.chat-name', { hasText: 'from the first tab' }).waitFor();
			await v.ask('from the second tab', other);
			await v.page.locator('.chat-name', { hasText: 'from the second tab' }).waitFor();
			await v.ask('more in the first');
			await v.untilStored('both chats', (list) => list.length === 2 && list[0].messages.length === 4 && list[1].messages.length === 2);
			await other.bringToFront();
			await other.locator('.chat', { hasText: 'from the first tab' }).hover();
			await other.locator('.chat', { hasText: 'from the first tab' }).locator('.chat-more').click();
			await other.getByRole('menuitem', { name: 'Delete' }).click();
			await v.page.locator('#welcome').waitFor();
			assert.deepEqual(await v.chats(), ['from the second tab']);
		},
	},
];

/** Letter by letter what the application before this one stored. */
function oldChats() {
	const at = (age) => new Date(Date.now() - age).toISOString();
	const yesterday = new Date();
	yesterday.setDate(yesterday.getDate() - 1);
	yesterday.setHours(12, 0, 0, 0);
	return [
		{
			id: '1700000000003', title: 'Explain quantum computing', createdAt: at(0), updatedAt: at(0), messages: [
				{ id: '1700000000004', role: 'user', content: 'Explain quantum computing', timestamp: at(0) },
				{ id: '1700000000005', role: 'assistant', content: 'Qubits are strange.', timestamp: at(0) },
				{ id: '1700000000006', role: 'user', content: 'More please', timestamp: at(0) },
				{ id: '1700000000007', role: 'assistant', content: 'Sorry, I encountered an error. Please try again.', timestamp: at(0), isError: true },
			],
		},
		{
			id: '1700000000002', title: 'Write a Python function', createdAt: yesterday.toISOString(), messages: [
				{ id: '1700000000001', role: 'user', content: 'Write a Python function', timestamp: yesterday.toISOString() },
			],
		},
		{
			id: '1600000000000', title: 'Long ago', createdAt: at(400 * DAY), updatedAt: at(400 * DAY), messages: [
				{ id: '1600000000001', role: 'user', content: 'Long ago', timestamp: at(400 * DAY) },
			],
		},
		{ id: '1500000000000', title: 'New Chat', messages: [], createdAt: at(500 * DAY) },
	];
}
