// SPDX-License-Identifier: MIT
// Chatting: opens, streams, stops, asks again, copies.

import assert from 'node:assert/strict';
import { answerByHand, PHONE } from '../visit.mjs';

const RICH = 'Show me a table, a list and some code.';

export default [
	{
		name: 'opens with a greeting and the model',
		async run(v) {
			await v.open();
			assert.equal(await v.page.title(), 'Ollachat');
			assert.equal(await v.page.locator('#picker-name').innerText(), 'ollachat-sim');
			assert.equal(await v.page.locator('.example').count(), 3);
			assert.equal(await v.page.evaluate(() => document.activeElement.id), 'input');
			await v.shot('welcome');
			const example = v.page.locator('.example').first();
			const prompt = await example.locator('.example-prompt').innerText();
			await example.click();
			assert.equal(await v.page.locator('#input').inputValue(), prompt, 'an example fills the box');
		},
	},
	{
		name: 'an answer streams, is rendered and can be read as it grows',
		async run(v) {
			await v.open();
			await v.page.evaluate(() => {
				window.lengths = new Set();
				const watch = () => {
					const running = document.querySelector('#send').dataset.does === 'stop';
					const text = document.querySelector('.message.assistant .markdown')?.textContent ?? '';
					if (running && text) window.lengths.add(text.length);
					requestAnimationFrame(watch);
				};
				watch();
			});
			await v.ask(RICH);
			const lengths = await v.page.evaluate(() => [...window.lengths]);
			assert.ok(lengths.length >= 5, `saw the text at ${lengths.length} lengths before its end`);
			const answer = v.page.locator('.message.assistant').last();
			assert.ok(await answer.locator('table tbody tr').count() >= 2, 'a table');
			assert.ok(await answer.locator('li').count() >= 2, 'a list');
			assert.ok(await answer.locator('.code-block pre code').count() >= 1, 'code');
			assert.match(await answer.locator('.facts').innerText(), /ollachat-sim · [\d.]+ tokens\/s/);
			assert.equal(await answer.getAttribute('aria-busy'), 'false');
			assert.equal(await v.page.title(), 'Show me a table, a list and so... – Ollachat');
			await v.page.locator('#live').filter({ hasText: 'The answer is ready.' }).waitFor({ state: 'attached' });
		},
	},
	{
		name: 'stop keeps the text and marks it',
		slow: true,
		async run(v) {
			await v.open();
			await v.send(RICH);
			await v.until('some words', () => (document.querySelector('.message.assistant .markdown')?.textContent ?? '').length > 10);
			assert.equal(await v.page.locator('#send').getAttribute('aria-label'), 'Stop');
			await v.page.locator('#send').click();
			await v.idle();
			await v.page.locator('.verdict', { hasText: 'Stopped' }).waitFor();
			const text = await v.lastAnswer();
			assert.ok(text.length > 10);
			await v.untilStored('the stopped answer', (list) => list[0]?.messages[1].status === 'stopped');
			await v.page.reload();
			await v.page.locator('.verdict', { hasText: 'Stopped' }).waitFor();
			assert.equal(await v.lastAnswer(), text, 'nothing was added after the stop');
		},
	},
	{
		name: 'stop cancels the request itself',
		init: answerByHand,
		async run(v) {
			await v.open();
			await v.send('hello');
			await v.until('the request', () => window.hand.requests.length === 1);
			await v.page.evaluate(() => window.hand.write('Some words'));
			await v.sees('Some words');
			await v.page.locator('#send').click();
			await v.until('the abort', () => window.hand.aborted);
			await v.sees('Stopped');
		},
	},
	{
		name: 'answer again replaces the last answer only',
		async run(v) {
			await v.open();
			await v.ask('hello');
			await v.ask('hello again');
			await v.page.locator('.message.assistant').last().evaluate((node) => { node.marked = true; });
			await v.page.getByRole('button', { name: 'Answer again' }).click();
			await v.until('a new answer', () => !document.querySelector('.message:last-child').marked);
			await v.idle();
			assert.equal(await v.page.locator('.message.assistant').count(), 2);
			assert.equal(await v.page.locator('.message.user').count(), 2);
			await v.untilStored('four messages', (list) => list[0].messages.length === 4 && !list[0].messages[3].status);
		},
	},
	{
		name: 'the model hears the conversation so far',
		init: answerByHand,
		async run(v) {
			await v.open();
			await v.send('first');
			await v.until('the request', () => window.hand.requests.length === 1);
			await v.page.evaluate(() => { window.hand.write('one'); window.hand.done(); });
			await v.idle();
			await v.send('second');
			await v.until('the second request', () => window.hand.requests.length === 2);
			const { body, headers } = await v.page.evaluate(() => window.hand.requests[1]);
			const { default: model } = await (await v.context.request.get(`${v.url}api/models`)).json();
			assert.match(model, /^ollachat-sim/);
			assert.deepEqual(body, { model, stream: true, messages: [
				{ role: 'user', content: 'first' }, { role: 'assistant', content: 'one' }, { role: 'user', content: 'second' },
			] });
			assert.equal(headers['X-Ollachat-Progress'], '1');
			assert.equal(headers.Authorization, undefined);
			await v.page.evaluate(() => window.hand.done());
			await v.sees('The model had nothing to say.');
		},
	},
	{
		name: 'lines come in any pieces: bytes of a character apart, blanks between, no newline at the end',
		init: answerByHand,
		async run(v) {
			await v.open();
			await v.send('hello');
			await v.until('the request', () => window.hand.requests.length === 1);
			await v.page.evaluate(() => {
				const text = ' \n   {"message":{"role":"assistant","content":"Zoë → 日本 🦙"},"done":false}\r\n  \n{"message":{"content":"!"},"done":true}';
				for (const byte of new TextEncoder().encode(text)) window.hand.bytes([byte]);
				window.hand.end();
			});
			await v.idle();
			assert.equal(await v.lastAnswer(), 'Zoë → 日本 🦙!');
			assert.equal(await v.page.locator('.verdict:visible').count(), 0);
		},
	},
	{
		name: 'says what it waits for: the line, the load, the thinking',
		init: answerByHand,
		async run(v) {
			await v.open();
			await v.send('hello');
			await v.until('the request', () => window.hand.requests.length === 1);
			const status = v.page.locator('.status');
			await v.page.evaluate(() => window.hand.line({ queue: { position: 3 } }));
			await status.filter({ hasText: 'You are number 3 in line' }).waitFor();
			await v.page.evaluate(() => window.hand.line({ queue: { position: 1 } }));
			await status.filter({ hasText: 'You are number 1 in line' }).waitFor();
			await v.page.evaluate(() => window.hand.line({ load: { seconds: 12 } }));
			await status.filter({ hasText: 'Loading the model… 12 s' }).waitFor();
			await v.page.evaluate(() => window.hand.line({ message: { role: 'assistant', content: '', thinking: 'Let me see. <b>' }, done: false }));
			await v.sees('Thinking…');
			await v.page.locator('.thinking summary').click();
			await v.sees('Let me see. <b>');
			await v.page.evaluate(() => { window.hand.write('Here it is.'); window.hand.done(); });
			await v.idle();
			await v.sees(/Thought for \d+ second/);
			assert.equal(await v.lastAnswer(), 'Here it is.');
			assert.equal(await status.isVisible(), false);
		},
	},
	{
		name: 'copies a message and code',
		async run(v) {
			await v.open();
			await v.ask(RICH);
			await copyAndCompare(v);
		},
	},
	{
		name: 'copies without navigator.clipboard, over plain HTTP',
		insecure: true,
		async run(v) {
			await v.open();
			assert.equal(await v.page.evaluate(() => window.isSecureContext), false);
			await v.ask(RICH);
			await copyAndCompare(v);
		},
	},
	{
		name: 'Enter sends, Shift+Enter does not, nor does Enter within a composition',
		init: answerByHand,
		async run(v) {
			await v.open();
			const input = v.page.locator('#input');
			const height = () => input.evaluate((node) => node.offsetHeight);
			const before = await height();
			await input.pressSequentially('one');
			await input.press('Shift+Enter');
			await input.pressSequentially('two');
			assert.equal(await input.inputValue(), 'one\ntwo');
			assert.ok(await height() > before, 'the box grows with its text');
			await input.evaluate((node) => {
				node.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', isComposing: true, bubbles: true, cancelable: true }));
				node.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', keyCode: 229, bubbles: true, cancelable: true }));
			});
			assert.equal(await v.page.locator('.message').count(), 0);
			await input.press('Enter');
			await v.until('the request', () => window.hand.requests.length === 1);
			assert.equal(await v.page.evaluate(() => window.hand.requests[0].body.messages[0].content), 'one\ntwo');
			assert.equal(await height(), before, 'and shrinks again');
			await v.type('while it answers');
			await input.press('Enter');
			assert.equal(await input.inputValue(), 'while it answers', 'one answer at a time; the text stays');
			assert.equal(await v.page.evaluate(() => window.hand.requests.length), 1);
			await v.page.evaluate(() => window.hand.done());
			await v.idle();
			await v.type('   ');
			assert.equal(await v.page.locator('#send').isDisabled(), true, 'nothing to send');
		},
	},
	{
		name: 'follows the answer only while the reader is at its end',
		init: answerByHand,
		async run(v) {
			await v.open();
			await followsOnlyAtEnd(v);
		},
	},
	{
		name: 'follows the answer on a phone too',
		device: PHONE,
		init: answerByHand,
		async run(v) {
			await v.open();
			await followsOnlyAtEnd(v);
		},
	},
];

async function copyAndCompare(v) {
	const paste = async () => {
		await v.type('');
		await v.page.locator('#input').press('Control+V');
		return v.page.locator('#input').inputValue();
	};
	const code = v.page.locator('.code-block').first();
	await code.getByRole('button', { name: 'Copy code' }).click();
	await code.getByText('Copied').waitFor();
	const codeText = await code.locator('code').evaluate((node) => node.textContent);
	assert.equal((await paste()).trimEnd(), codeText.trimEnd());
	const [, answer] = (await v.stored())[0].messages;
	await v.page.getByRole('button', { name: 'Copy answer' }).click();
	await v.page.locator('.message.assistant .icon-button[data-copied="true"]').waitFor();
	assert.equal((await paste()).trimEnd(), answer.content.trimEnd(), 'the Markdown as the model wrote it');
}

async function followsOnlyAtEnd(v) {
	const write = (text) => v.page.evaluate((words) => window.hand.write(words), text);
	const distance = () => v.page.locator('#scroller').evaluate((node) => node.scrollHeight - node.clientHeight - node.scrollTop);
	const paragraphs = (from, to) => Array.from({ length: to - from }, (_, i) => `Paragraph ${from + i} with a few words.\n\n`).join('');
	await v.send('a long one');
	await v.until('the request', () => window.hand.requests.length === 1);
	await write(paragraphs(0, 60));
	await v.sees('Paragraph 59');
	await v.until('the end in sight', () => {
		const node = document.querySelector('#scroller');
		return node.scrollHeight - node.clientHeight - node.scrollTop < 2;
	});
	assert.equal(await v.page.locator('#jump').isVisible(), false);
	await v.page.locator('#scroller').evaluate((node) => { node.scrollTop -= 400; });
	await v.page.locator('#jump').waitFor();
	const top = await v.page.locator('#scroller').evaluate((node) => node.scrollTop);
	await write(paragraphs(60, 90));
	await v.page.getByText('Paragraph 89').waitFor({ state: 'attached' });
	assert.equal(await v.page.locator('#scroller').evaluate((node) => node.scrollTop), top, 'the reader stays where they read');
	await v.page.locator('#jump').click();
	await v.page.locator('#jump').waitFor({ state: 'hidden' });
	await write(paragraphs(90, 120));
	await v.page.getByText('Paragraph 119').waitFor();
	await v.page.evaluate(() => window.hand.done());
	await v.idle();
	assert.ok(await distance() < 2, 'after the jump it follows again');
}
