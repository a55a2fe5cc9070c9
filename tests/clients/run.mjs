#!/usr/bin/env node
// SPDX-License-Identifier: MIT
// run.mjs: the official clients `ollama` and `openai` against the gateway with the stand-in behind it, and against the
// stand-in alone; then all that many.mjs knows, through everything that happens to a gateway. OLLACHAT_BIN names the program; the clients come from vendor/test/node_modules (or OLLACHAT_TEST_MODULES).
// The last line says how many passed and failed.

import assert from 'node:assert/strict';
import { Server, health, load, until } from './program.mjs';
import { manyClientsTests } from './many.mjs';

const TIMEOUT_MS = 30000;

const { Ollama } = await load('ollama');
const { default: OpenAI } = await load('openai');

// --- the tests ------------------------------------------------------------------------------------------------------

const tests = [];
const test = (name, run) => tests.push({ name, run });
const HELLO = [{ role: 'user', content: 'Hello, who are you?' }];

async function collect(stream) {
	const parts = [];
	for await (const part of stream) parts.push(part);
	return parts;
}

/** What both the gateway and the stand-in must do for ollama-js. */
function ollamaTests(label, get) {
	const named = (name, run) => test(`ollama, ${label}: ${name}`, () => run(get().ollama, get().model));

	named('chat, streamed', async (ollama, model) => {
		const parts = await collect(await ollama.chat({ model, messages: HELLO, stream: true }));
		assert.ok(parts.length > 2, `${parts.length} parts`);
		assert.ok(parts.map((part) => part.message.content).join('').length > 10);
		const last = parts.at(-1);
		assert.equal(last.done, true);
		assert.equal(last.done_reason, 'stop');
		assert.ok(last.eval_count > 0 && last.eval_duration > 0 && last.total_duration > 0, JSON.stringify(last));
		assert.ok(parts.slice(0, -1).every((part) => part.done === false && part.model === model && part.message.role === 'assistant'));
		assert.ok(parts.every((part) => !Number.isNaN(Date.parse(part.created_at))));
	});

	named('chat, whole, says the same as streamed', async (ollama, model) => {
		const whole = await ollama.chat({ model, messages: HELLO });
		const parts = await collect(await ollama.chat({ model, messages: HELLO, stream: true }));
		assert.equal(whole.message.role, 'assistant');
		assert.equal(whole.message.content, parts.map((part) => part.message.content).join(''));
		assert.equal(whole.done, true);
	});

	named('chat with text of all kinds', async (ollama, model) => {
		const content = 'say: é 😀 "quotes" \\ \u0001 \u2028 </script>\n```js\nx\n```';
		const reply = await ollama.chat({ model, messages: [{ role: 'system', content: 'short' }, { role: 'user', content }] });
		assert.ok(reply.message.content.length > 0);
	});

	named('generate, streamed and whole', async (ollama, model) => {
		const parts = await collect(await ollama.generate({ model, prompt: 'Hello', stream: true }));
		assert.ok(parts.length > 1 && parts.at(-1).done);
		const whole = await ollama.generate({ model, prompt: 'Hello' });
		assert.equal(whole.response, parts.map((part) => part.response).join(''));
	});

	named('list', async (ollama, model) => {
		const { models } = await ollama.list();
		const entry = models.find((one) => one.name === model);
		assert.ok(entry, JSON.stringify(models));
		assert.ok(entry.size > 0 && entry.digest.length === 64 && entry.details.family, JSON.stringify(entry));
	});

	named('show', async (ollama, model) => {
		const shown = await ollama.show({ model });
		assert.ok(shown.details && Array.isArray(shown.capabilities) && shown.capabilities.includes('completion'), JSON.stringify(shown));
	});

	named('ps', async (ollama, model) => {
		await ollama.chat({ model, messages: HELLO });
		const { models } = await ollama.ps();
		assert.ok(models.some((one) => one.name === model), JSON.stringify(models));
	});

	named('version', async (ollama) => {
		assert.match((await ollama.version()).version, /^\d+\.\d+/);
	});

	named('embed', async (ollama, model) => {
		const { embeddings } = await ollama.embed({ model, input: ['one', 'two'] });
		assert.equal(embeddings.length, 2);
		assert.ok(embeddings[0].length > 1 && embeddings[0].every((number) => typeof number === 'number'));
		assert.equal(embeddings[0].length, embeddings[1].length);
		assert.notDeepEqual(embeddings[0], embeddings[1]);
	});

	named('unknown model is 404 in Ollama\'s words', async (ollama) => {
		for (const stream of [true, false]) {
			const error = await ollama.chat({ model: 'nobody', messages: HELLO, stream }).then(assert.fail, (reason) => reason);
			assert.equal(error.status_code, 404);
			assert.match(error.message, /model ['"]nobody['"] not found/);
		}
		const error = await ollama.show({ model: 'nobody' }).then(assert.fail, (reason) => reason);
		assert.equal(error.status_code, 404);
	});

	named('parallel chats are all answered', async (ollama, model) => {
		const replies = await Promise.all(Array.from({ length: 8 }, () => ollama.chat({ model, messages: HELLO })));
		assert.ok(replies.every((reply) => reply.done && reply.message.content));
	});
}

/** What both must do for openai. */
function openaiTests(label, get) {
	const named = (name, run) => test(`openai, ${label}: ${name}`, () => run(get().openai, get().model));

	named('models', async (openai, model) => {
		const list = await openai.models.list();
		assert.ok(list.data.some((one) => one.id === model && one.object === 'model'), JSON.stringify(list.data));
		assert.equal((await openai.models.retrieve(model)).id, model);
	});

	named('chat, streamed, with usage', async (openai, model) => {
		const options = { model, messages: HELLO, stream: true, stream_options: { include_usage: true } };
		const parts = await collect(await openai.chat.completions.create(options));
		const text = parts.map((part) => part.choices[0]?.delta.content ?? '').join('');
		assert.ok(text.length > 10);
		assert.ok(parts.some((part) => part.choices[0]?.finish_reason === 'stop'));
		assert.ok(parts.at(-1).usage?.completion_tokens > 0, JSON.stringify(parts.at(-1)));
		assert.ok(parts.every((part) => part.object === 'chat.completion.chunk'));
	});

	named('chat, streamed, without usage', async (openai, model) => {
		const parts = await collect(await openai.chat.completions.create({ model, messages: HELLO, stream: true }));
		assert.ok(parts.every((part) => !part.usage), 'usage although nobody asked');
		assert.ok(parts.every((part) => part.choices.length === 1));
	});

	named('chat, whole, says the same as streamed', async (openai, model) => {
		const whole = await openai.chat.completions.create({ model, messages: HELLO });
		const parts = await collect(await openai.chat.completions.create({ model, messages: HELLO, stream: true }));
		assert.equal(whole.object, 'chat.completion');
		assert.equal(whole.choices[0].message.role, 'assistant');
		assert.equal(whole.choices[0].message.content, parts.map((part) => part.choices[0]?.delta.content ?? '').join(''));
		assert.equal(whole.choices[0].finish_reason, 'stop');
		assert.equal(whole.usage.total_tokens, whole.usage.prompt_tokens + whole.usage.completion_tokens);
	});

	named('embeddings', async (openai, model) => {
		const reply = await openai.embeddings.create({ model, input: ['one', 'two'], encoding_format: 'float' });
		assert.equal(reply.data.length, 2);
		assert.ok(reply.data[0].embedding.length > 1 && reply.data[1].index === 1);
	});

	named('unknown model is an error of the right shape', async (openai) => {
		for (const stream of [true, false]) {
			const error = await openai.chat.completions.create({ model: 'nobody', messages: HELLO, stream }).then(assert.fail, (reason) => reason);
			assert.ok(error instanceof OpenAI.NotFoundError, `${error}`);
			assert.equal(error.status, 404);
			assert.match(error.message, /model ['"]nobody['"] not found/);
			assert.equal(typeof error.error.type, 'string');
		}
	});
}

function gatewayTests(get) {
	test('gateway: aborting in mid-stream frees the turn (ollama)', async () => {
		const { slowGateway, model } = get();
		const ollama = new Ollama({ host: slowGateway.url });
		const stream = await ollama.chat({ model, messages: HELLO, stream: true });
		const aborted = (async () => {
			for await (const part of stream) if (part.message.content) stream.abort();
		})();
		await assert.rejects(aborted, { name: 'AbortError' });
		await until(async () => (await health(slowGateway)).active === 0, 'the turn is free');
		const next = await ollama.chat({ model, messages: HELLO, stream: true });
		for await (const part of next) {
			assert.ok(part.message);
			break;
		}
		next.abort();
	});

	test('gateway: aborting in mid-stream frees the turn (openai)', async () => {
		const { slowGateway, model } = get();
		const openai = new OpenAI({ baseURL: `${slowGateway.url}/v1`, apiKey: 'unused', maxRetries: 0 });
		const stream = await openai.chat.completions.create({ model, messages: HELLO, stream: true });
		for await (const part of stream) {
			assert.ok(part.choices);
			break; // leaves the loop, and with it the request
		}
		await until(async () => (await health(slowGateway)).active === 0, 'the turn is free');
	});

	test('gateway: aborting while waiting leaves the queue', async () => {
		const { slowGateway, model } = get();
		const first = new Ollama({ host: slowGateway.url });
		const leaving = new AbortController(); // abort() of ollama-js reaches only requests that were answered
		const second = new Ollama({ host: slowGateway.url, fetch: (url, init) => fetch(url, { ...init, signal: leaving.signal }) });
		const stream = await first.chat({ model, messages: HELLO, stream: true });
		const waiting = second.chat({ model, messages: HELLO, stream: true });
		const refused = assert.rejects(waiting, { name: 'AbortError' });
		await until(async () => (await health(slowGateway)).queued === 1, 'the second one waits');
		leaving.abort();
		await refused;
		await until(async () => (await health(slowGateway)).queued === 0, 'the second one is gone');
		stream.abort();
		await until(async () => (await health(slowGateway)).active === 0, 'the turn is free');
	});

	test('gateway: pull, push, delete, create and copy are refused in words', async () => {
		const { gatewayClients: { ollama, model } } = get();
		const asks = {
			pull: () => ollama.pull({ model }), push: () => ollama.push({ model }), delete: () => ollama.delete({ model }),
			create: () => ollama.create({ model: 'x', from: model }), copy: () => ollama.copy({ source: model, destination: 'x' }),
		};
		for (const [name, ask] of Object.entries(asks)) {
			const error = await ask().then(assert.fail, (reason) => reason);
			assert.equal(error.status_code, 403, `${name}: ${error}`);
			assert.ok(error.message.length > 10, `${name}: ${error.message}`);
		}
	});

	test('gateway: Ollama that is gone is an error in words for both clients', async () => {
		const { goneGateway, model } = get();
		const error = await new Ollama({ host: goneGateway.url }).chat({ model, messages: HELLO }).then(assert.fail, (reason) => reason);
		assert.ok([502, 503].includes(error.status_code) && error.message.length > 10, `${error.status_code} ${error.message}`);
		const openai = new OpenAI({ baseURL: `${goneGateway.url}/v1`, apiKey: 'unused', maxRetries: 0 });
		const other = await openai.chat.completions.create({ model, messages: HELLO }).then(assert.fail, (reason) => reason);
		assert.ok([502, 503].includes(other.status) && other.error?.message.length > 10, `${other}`);
	});

	test('stand-in: pull tells its progress', async () => {
		const { simClients: { ollama, model } } = get();
		const parts = await collect(await ollama.pull({ model, stream: true }));
		assert.equal(parts[0].status, 'pulling manifest');
		assert.equal(parts.at(-1).status, 'success');
		assert.ok(parts.some((part) => part.total > 0 && part.completed > 0 && part.digest), JSON.stringify(parts.slice(0, 4)));
		assert.equal((await ollama.pull({ model })).status, 'success');
	});
}

// --- running them ---------------------------------------------------------------------------------------------------

async function clientsFor(server) {
	const ollama = new Ollama({ host: server.url });
	const openai = new OpenAI({ baseURL: `${server.url}/v1`, apiKey: 'unused', maxRetries: 0 });
	const model = await until(async () => (await ollama.list()).models[0]?.name, 'a model in the list');
	return { ollama, openai, model };
}

async function setUp(servers) {
	const start = async (...args) => {
		servers.push(await Server.start(...args));
		return servers.at(-1);
	};
	const sim = await start('sim', '--tokens-per-second', '2000', '--first-token-delay', '0');
	const slowSim = await start('sim', '--tokens-per-second', '20');
	const gateway = await start('backend', '--ollama', sim.url, '--queue-timeout', '3600');
	const slowGateway = await start('backend', '--ollama', slowSim.url);
	const goneGateway = await start('backend', '--ollama', 'http://127.0.0.1:1');
	const healthy = async (one) => (await health(one)).status === 'healthy';
	await until(async () => (await healthy(gateway)) && (await healthy(slowGateway)), 'both gateways are healthy');
	const simClients = await clientsFor(sim);
	const gatewayClients = await clientsFor(gateway);
	return { slowGateway, goneGateway, simClients, gatewayClients, model: simClients.model };
}

function withTimeout(promise) {
	let timer;
	const late = new Promise((_, reject) => {
		timer = setTimeout(() => reject(new Error(`not over after ${TIMEOUT_MS / 1000} s`)), TIMEOUT_MS);
	});
	return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

async function main() {
	const only = process.argv.slice(2).filter((word) => word !== '-v');
	const verbose = process.argv.includes('-v');
	const servers = [];
	let setting;
	let passed = 0;
	let failed = 0;
	const judge = async (name, run) => {
		try {
			const began = Date.now();
			await withTimeout(run());
			passed++;
			if (verbose) console.log(`ok   ${name} (${(Date.now() - began) / 1000} s)`);
		} catch (error) {
			failed++;
			console.log(`FAIL ${name}\n     ${String(error.stack ?? error).split('\n').slice(0, 12).join('\n     ')}`);
		}
	};

	process.on('unhandledRejection', (reason) => {
		failed++;
		console.log(`FAIL nobody took this error: ${reason?.stack ?? reason}`);
	});
	for (const [label, key] of [['stand-in', 'simClients'], ['gateway', 'gatewayClients']]) {
		ollamaTests(label, () => setting[key]);
		openaiTests(label, () => setting[key]);
	}
	gatewayTests(() => setting);
	manyClientsTests(test);
	try {
		setting = await withTimeout(setUp(servers));
		for (const { name, run } of tests) {
			if (only.length === 0 || only.some((word) => name.includes(word))) await judge(name, run);
		}
	} catch (error) {
		failed++;
		console.log(`FAIL starting: ${error.stack}`);
	}
	for (const server of servers.reverse()) await judge(`${server.name} ends cleanly`, () => server.stop());
	console.log(`${passed} passed, ${failed} failed`);
	process.exit(failed === 0 ? 0 : 1);
}

await main();
