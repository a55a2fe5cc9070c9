// SPDX-License-Identifier: MIT
// What the page says when something is wrong, and that it finds its way back.

import assert from 'node:assert/strict';
import { answerByHand, delta, DONE, json, ndjson } from '../visit.mjs';

const RESOURCE = [/Failed to load resource/];

export default [
	{
		name: 'backend down: said in words, and mended without a reload',
		complaints: RESOURCE,
		async run(v) {
			let down = true;
			await v.answer('models', () => (down ? json(503, { error: 'cannot reach Ollama at 127.0.0.1:11434', models: [] }) : null));
			await v.open({ state: 'down' });
			await v.sees('Cannot reach Ollama at 127.0.0.1:11434');
			assert.equal(await v.page.locator('#picker-name').innerText(), 'Not connected');
			await v.shot('backend-down');
			down = false;
			await v.page.getByRole('button', { name: 'Try again' }).click();
			await v.page.locator('#picker[data-state="ready"]').waitFor();
			assert.equal(await v.page.locator('.notice').count(), 0);
			await v.ask('hello');
		},
	},
	{
		name: 'nobody answers at all: it tries again by itself',
		complaints: RESOURCE,
		async run(v) {
			let down = true;
			await v.answer('models', () => (down ? 'abort' : null));
			await v.open({ state: 'down' });
			await v.sees('The server cannot be reached. Check the connection and try again.');
			down = false;
			await v.page.locator('#picker[data-state="ready"]').waitFor();
		},
	},
	{
		name: 'no model installed',
		async run(v) {
			let models = [];
			await v.answer('models', () => json(200, { models, count: models.length, default: null }));
			await v.open({ state: 'empty' });
			await v.sees(/No model is installed/);
			models = ['tiny:latest'];
			await v.page.getByRole('button', { name: 'Look again' }).click();
			await v.page.locator('#picker[data-state="ready"]').waitFor();
			assert.equal(await v.page.locator('#picker-name').innerText(), 'tiny');
		},
	},
	{
		name: 'refused with Retry-After: words, when to come back, and a way to try again',
		complaints: RESOURCE,
		async run(v) {
			const replies = [
				json(503, { error: 'all places are taken' }, { 'Retry-After': '40' }),
				json(429, { error: 'too many requests from here' }, { 'Retry-After': '5' }),
				{ status: 503, headers: { 'Content-Type': 'text/html' }, body: '<html>503 Service Temporarily Unavailable</html>' },
				'abort',
				json(404, { error: "model 'gone' not found" }),
				null,
			];
			await v.answer('chat', () => replies.shift());
			await v.open();
			await v.send('hello');
			const verdict = v.page.locator('.verdict.error');
			const retry = v.page.locator('.retry');
			await verdict.filter({ hasText: 'All places are taken' }).waitFor();
			assert.match(await retry.innerText(), /Try again \(best in (40|39|38) s\)/);
			await v.until('the countdown', () => /best in 3[0-8] s/.test(document.querySelector('.retry').innerText));
			await v.shot('busy');
			await retry.click();
			await verdict.filter({ hasText: 'Too many requests from here' }).waitFor();
			await retry.click();
			await verdict.filter({ hasText: 'The chat service is busy or starting up.' }).waitFor();
			await retry.click();
			await verdict.filter({ hasText: 'The server cannot be reached.' }).waitFor();
			await retry.click();
			await verdict.filter({ hasText: "Model 'gone' not found" }).waitFor();
			assert.equal(await v.page.locator('.message.assistant').count(), 1, 'a retry replaces the error');
			await retry.click();
			await verdict.waitFor({ state: 'hidden' });
			await v.idle();
			assert.ok((await v.lastAnswer()).length > 0);
			assert.equal(await v.page.locator('.message').count(), 2);
		},
	},
	{
		name: 'an error in mid-answer: the text stays, the reason is said, retry works',
		async run(v) {
			const replies = [ndjson(delta('Half an '), delta('answer'), { error: 'the model stopped answering', status: 503, retry_after: 7 }), null];
			await v.answer('chat', () => replies.shift());
			await v.open();
			await v.send('hello');
			const verdict = v.page.locator('.verdict.error');
			await verdict.filter({ hasText: 'The model stopped answering' }).waitFor();
			assert.equal(await v.lastAnswer(), 'Half an answer');
			assert.match(await v.page.locator('.retry').innerText(), /best in [4-7] s/);
			await v.untilStored('the broken answer', (list) => list[0].messages[1].status === 'interrupted');
			await v.page.reload();
			await verdict.filter({ hasText: 'The model stopped answering' }).waitFor();
			assert.equal(await v.lastAnswer(), 'Half an answer');
			await v.page.locator('.retry').click();
			await verdict.waitFor({ state: 'hidden' });
			await v.idle();
			assert.equal(await v.page.locator('.message.assistant').count(), 1);
			assert.notEqual(await v.lastAnswer(), 'Half an answer');
		},
	},
	...[
		['a stream that ends without its end', (v) => v.page.evaluate(() => window.hand.end())],
		['a connection that breaks', (v) => v.page.evaluate(() => window.hand.cut())],
		['a line that is no JSON', (v) => v.page.evaluate(() => window.hand.push('{"message":\n'))],
	].map(([name, breakOff]) => ({
		name: `${name} is an interrupted answer`,
		init: answerByHand,
		async run(v) {
			await v.open();
			await v.send('hello');
			await v.until('the request', () => window.hand.requests.length === 1);
			await v.page.evaluate(() => window.hand.write('Half an answer'));
			await v.sees('Half an answer');
			await breakOff(v);
			await v.page.locator('.verdict.error', { hasText: 'The answer broke off before its end.' }).waitFor();
			assert.equal(await v.lastAnswer(), 'Half an answer');
			assert.equal(await v.page.locator('.retry').count(), 1);
		},
	})),
	{
		name: 'closing the page in mid-answer keeps what was there',
		slow: true,
		async run(v) {
			await v.open();
			await v.send('Show me a list.');
			await v.until('some words', () => (document.querySelector('.message.assistant .markdown')?.textContent ?? '').length > 10);
			await v.page.reload();
			await v.page.locator('.verdict.error', { hasText: 'The answer broke off' }).waitFor();
			assert.ok((await v.lastAnswer()).length > 10);
			assert.equal(await v.page.locator('.retry').count(), 1);
		},
	},
	{
		name: '401: asks for a key, keeps it, sends it, and can forget it',
		complaints: RESOURCE,
		async run(v) {
			const seen = [];
			const guard = (request) => {
				seen.push(request.headers().authorization);
				return request.headers().authorization === 'Bearer right-key' ? null : json(401, { error: 'a key is needed' }, { 'WWW-Authenticate': 'Bearer' });
			};
			await v.answer('models', guard);
			await v.answer('chat', guard);
			await v.open({ state: null });
			const dialog = v.page.getByRole('dialog', { name: 'Access key' });
			await dialog.waitFor();
			await v.shot('key');
			await v.page.keyboard.press('Escape');
			await v.page.locator('#picker[data-state="locked"]').waitFor();
			await v.page.getByRole('button', { name: 'Enter key' }).click();
			await dialog.getByLabel('Access key', { exact: true }).fill('wrong-key');
			await v.page.keyboard.press('Enter');
			await dialog.getByText('did not accept').waitFor();
			await dialog.getByLabel('Access key', { exact: true }).fill('right-key');
			await dialog.getByRole('button', { name: 'Continue' }).click();
			await v.page.locator('#picker[data-state="ready"]').waitFor();
			await v.ask('hello');
			assert.equal(seen.at(-1), 'Bearer right-key');
			await v.page.reload();
			await v.page.locator('#picker[data-state="ready"]').waitFor();
			await v.page.getByRole('button', { name: 'About', exact: true }).click();
			await v.page.getByRole('button', { name: 'Forget the access key' }).click();
			assert.equal(await v.page.evaluate(() => localStorage.getItem('ollachat-api-key')), null);
			await v.send('hello again');
			await dialog.waitFor();
			await dialog.getByLabel('Access key', { exact: true }).fill('right-key');
			await v.page.keyboard.press('Enter');
			await dialog.waitFor({ state: 'hidden' });
			await v.idle();
			assert.equal(await v.page.locator('.message.assistant').count(), 2);
			assert.equal(await v.page.locator('.verdict.error:visible').count(), 0, 'the question was asked again by itself');
		},
	},
	{
		name: 'no config.json: everything is taken to be on this origin',
		complaints: RESOURCE,
		async run(v) {
			await v.page.route('**/config.json', (route) => route.fulfill(json(404, { error: 'Not Found' })));
			await v.open();
			await v.ask('hello');
		},
	},
	{
		name: 'the answer is cut at its longest length: said',
		async run(v) {
			await v.answer('chat', () => ndjson(delta('As long as it gets'), { ...DONE, done_reason: 'length' }));
			await v.open();
			await v.send('hello');
			await v.sees('The answer reached the longest length allowed.');
		},
	},
];
