// SPDX-License-Identifier: MIT
// many.mjs: the clients people really use, each through the same trials: plain chats, the queue, heartbeats, a load balancer
// that cuts what is silent, cancellation, refusals, and answers that fail in the middle.

import assert from 'node:assert/strict';
import { Balancer, Fake, Server, WoundServer, health, load, until } from './program.mjs';

const { Ollama } = await load('ollama');
const { default: OpenAI } = await load('openai');
const { ChatOllama } = await load('@langchain/ollama');
const { HumanMessage } = await load('@langchain/core/messages');
const ai = await load('ai');
const { createOllama } = await load('ollama-ai-provider-v2');
const { createOpenAICompatible } = await load('@ai-sdk/openai-compatible');

globalThis.AI_SDK_LOG_WARNINGS = false;
console.error = console.warn = () => {}; // they print what they then throw

const SAY = 'Hello, who are you?';
const MESSAGES = [{ role: 'user', content: SAY }];
const FAKE_TEXT = 'Hello there!'; // what the scripted Ollama answers

// --- one shape for all of them --------------------------------------------------------------------------------------
// stream(): the deltas of a streamed answer; whole(): an answer that is not streamed; both throw when it fails.
// status(error): the HTTP status that the error tells, if it does. tells: whether it tells the gateway's words.

const withSignal = (signal) => (signal ? { fetch: (url, init) => fetch(url, { ...init, signal }) } : {});

const ollama = {
	name: 'ollama',
	async *stream({ url, model, signal }) {
		const client = new Ollama({ host: url, ...withSignal(signal) });
		for await (const part of await client.chat({ model, messages: MESSAGES, stream: true })) yield part.message.content;
	},
	async whole({ url, model, signal }) {
		const client = new Ollama({ host: url, ...withSignal(signal) });
		return (await client.chat({ model, messages: MESSAGES })).message.content;
	},
	status: (error) => error.status_code,
	tells: true,
};

const openai = {
	name: 'openai',
	async *stream({ url, model, signal, retries = 0 }) {
		const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'unused', maxRetries: retries });
		const stream = await client.chat.completions.create({ model, messages: MESSAGES, stream: true }, { signal });
		for await (const part of stream) yield part.choices[0]?.delta.content ?? '';
	},
	async whole({ url, model, signal, retries = 0 }) {
		const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'unused', maxRetries: retries });
		return (await client.chat.completions.create({ model, messages: MESSAGES }, { signal })).choices[0].message.content;
	},
	status: (error) => error.status,
	tells: true,
	retries: true,
};

const langchain = {
	name: '@langchain/ollama',
	async *stream({ url, model, signal }) {
		const client = new ChatOllama({ baseUrl: url, model, maxRetries: 0 });
		for await (const part of await client.stream([new HumanMessage(SAY)], { signal })) yield part.content;
	},
	async whole({ url, model, signal }) {
		const client = new ChatOllama({ baseUrl: url, model, maxRetries: 0 });
		return (await client.invoke([new HumanMessage(SAY)], { signal })).content;
	},
	status: (error) => error.status_code,
	tells: true,
	attached: true, // looks at its signal only when the next line has come
};

/** A model of the AI SDK: its streams tell failures as parts. */
function aiSdk(name, modelOf, more) {
	return {
		name,
		async *stream({ url, model, signal, retries = 0 }) {
			const result = ai.streamText({ model: modelOf(url, model), messages: MESSAGES, abortSignal: signal, maxRetries: retries, onError() {} });
			for await (const part of result.fullStream) {
				if (part.type === 'text-delta') yield part.text;
				if (part.type === 'error') throw part.error;
				if (part.type === 'abort') throw new DOMException('aborted', 'AbortError');
				if (part.type === 'finish' && part.finishReason !== 'stop') throw new Error(`finish reason ${part.finishReason}`);
			}
		},
		async whole({ url, model, signal, retries = 0 }) {
			const result = await ai.generateText({ model: modelOf(url, model), messages: MESSAGES, abortSignal: signal, maxRetries: retries });
			return result.text;
		},
		status: (error) => (error.lastError ?? error).statusCode,
		retries: true,
		...more,
	};
}

const CLIENTS = [
	ollama,
	openai,
	langchain,
	aiSdk('ai + ollama-ai-provider-v2', (url, model) => createOllama({ baseURL: `${url}/api` })(model), { tells: false }),
	aiSdk('ai + @ai-sdk/openai-compatible', (url, model) => createOpenAICompatible({ name: 'x', baseURL: `${url}/v1` })(model), { tells: true }),
];

async function textOf(stream) {
	let text = '';
	for await (const delta of stream) text += delta;
	return text;
}

const failure = (promise) => promise.then((value) => assert.fail(`no error, but ${JSON.stringify(value)}`), (reason) => reason);

// --- what they go through -------------------------------------------------------------------------------------------

/** Starts servers for one trial and ends them. */
async function among(starts, run) {
	const running = [];
	try {
		for (const start of starts) running.push(await start(...running));
		await run(...running);
	} finally {
		for (const one of running.reverse()) await one.stop();
	}
}

const sim = (...options) => () => Server.start('sim', '--first-token-delay', '0', ...options);
const gateway = (...options) => async (upstream) => {
	const server = await Server.start('backend', '--ollama', upstream.url, ...options);
	await until(async () => (await health(server)).status === 'healthy', 'the gateway is healthy');
	return server;
};
const fake = (mode) => () => Fake.start(mode);
const balancer = (kind, idle) => (upstream, server) => Balancer.start(kind, server, idle);

const MODEL = 'ollachat-sim';
const FAKE_MODEL = 'llama3.2:1b';

export function manyClientsTests(test) {
	const each = (what, run) => CLIENTS.forEach((client) => test(`${client.name}: ${what}`, () => run(client)));
	/** All of them at once, for trials that take seconds. */
	const together = (what, starts, run) => test(`all clients: ${what}`, () => among(starts, async (...servers) => {
		const failed = (await Promise.allSettled(CLIENTS.map((client) => run(client, ...servers))))
			.map((result, n) => (result.status === 'rejected' ? `${CLIENTS[n].name}: ${result.reason?.stack ?? result.reason}` : ''))
			.filter(Boolean);
		assert.equal(failed.length, 0, failed.join('\n'));
	}));

	together('streamed and whole chats through a queue of one turn', [sim('--tokens-per-second', '2000'), gateway('--queue-timeout', '3600')], async (client, _, { url }) => {
		const [streamed, whole, again] = await Promise.all([
			textOf(client.stream({ url, model: MODEL })), client.whole({ url, model: MODEL }), textOf(client.stream({ url, model: MODEL })),
		]);
		assert.ok(whole.includes(SAY), whole);
		assert.equal(streamed, whole);
		assert.equal(again, whole);
	});

	together('a model that loads for seconds, with heartbeats before and between the words',
		[sim('--load-delay', '1.5', '--tokens-per-second', '12'), gateway('--heartbeat', '0.05', '--max-active', '16', '--preload', 'off')],
		async (client, _, { url }) => {
			const deltas = [];
			for await (const delta of client.stream({ url, model: MODEL })) if (delta) deltas.push(delta);
			assert.ok(deltas.length > 20, `${deltas.length} deltas`);
			assert.ok(deltas.join('').includes(SAY), deltas.join(''));
		});

	together('waiting in the queue with heartbeats', [sim('--tokens-per-second', '200'), gateway('--heartbeat', '0.05')],
		async (client, _, { url }) => {
			assert.ok((await textOf(client.stream({ url, model: MODEL }))).includes(SAY));
		});

	test('all clients: whole answers through the heartbeats that begin after 45 s', () => among(
		[() => Server.start('sim', '--first-token-delay', '1.5', '--tokens-per-second', '0'), (upstream) => WoundServer.start('backend', '--ollama', upstream.url, '--max-active', '16')],
		async (_, server) => {
			await until(async () => (await health(server)).status === 'healthy', 'the gateway is healthy');
			const asked = CLIENTS.map((client) => client.whole({ url: server.url, model: MODEL }));
			await until(async () => (await health(server)).active === CLIENTS.length, 'all are asked');
			server.wind(46);
			await new Promise((resolve) => setTimeout(resolve, 100)); // so that the beats are two, and apart
			server.wind(16);
			for (const text of await Promise.all(asked)) assert.ok(text.includes(SAY), text);
			const metrics = await (await fetch(`${server.url}/metrics`)).text();
			assert.ok(Number(/^ollachat_heartbeats_total (\d+)/m.exec(metrics)[1]) >= 2 * (CLIENTS.length - 1), 'too few heartbeats');
		}));

	for (const kind of ['haproxy', 'nginx']) {
		together(`${kind} that cuts after 1 s of silence, a model that loads for 3 s`,
			[sim('--load-delay', '3', '--tokens-per-second', '1000'), gateway('--heartbeat', '0.3', '--max-active', '16', '--preload', 'off'), balancer(kind, 1)],
			async (client, _, __, { url }) => {
				assert.ok((await textOf(client.stream({ url, model: MODEL }))).includes(SAY));
			});
	}

	together('haproxy that cuts after 1 s of silence, without heartbeats: cut, and told so',
		[sim('--load-delay', '3', '--tokens-per-second', '1000'), gateway('--heartbeat', '0', '--max-active', '16', '--preload', 'off'), balancer('haproxy', 1)],
		async (client, _, __, { url }) => {
			const error = await failure(textOf(client.stream({ url, model: MODEL })));
			assert.ok([504, undefined].includes(client.status(error)), `${error}`);
		});

	each('leaving in mid-stream frees the turn within a second', (client) => among(
		[sim('--tokens-per-second', '20'), gateway('--heartbeat', '0.05')], async (_, server) => {
			const leaving = new AbortController();
			const left = failure((async () => {
				for await (const delta of client.stream({ url: server.url, model: MODEL, signal: leaving.signal })) if (delta) leaving.abort();
				throw new Error('it ended'); // some end their loop, and say nothing
			})());
			await left;
			const began = Date.now();
			await until(async () => (await health(server)).active === 0, 'the turn is free');
			assert.ok(Date.now() - began < 1000, 'that took longer than a second');
		}));

	each('leaving while waiting frees the place', (client) => client.attached || among(
		[sim('--tokens-per-second', '5'), gateway('--heartbeat', '0.05')], async (_, server) => {
			const first = new AbortController();
			const second = new AbortController();
			const running = failure(textOf(ollama.stream({ url: server.url, model: MODEL, signal: first.signal })));
			await until(async () => (await health(server)).active === 1, 'one runs');
			const waiting = failure(textOf(client.stream({ url: server.url, model: MODEL, signal: second.signal })));
			await until(async () => (await health(server)).queued === 1, 'one waits');
			second.abort();
			await waiting;
			await until(async () => (await health(server)).queued === 0, 'nobody waits');
			first.abort();
			await running;
		}));

	together('429 and 503 are errors with their status, streamed and whole',
		[fake('busy'), gateway('--max-active', '16'), fake('too_many'), (_, __, upstream) => gateway('--max-active', '16')(upstream)],
		async (client, _, busy, __, tooMany) => {
			for (const [server, status] of [[busy, 503], [tooMany, 429]]) {
				for (const ask of [() => textOf(client.stream({ url: server.url, model: FAKE_MODEL })), () => client.whole({ url: server.url, model: FAKE_MODEL })]) {
					const error = await failure(ask());
					assert.equal(client.status(error), status, `${error}`);
					if (client.tells) assert.match(error.message, /server busy|too many|Service Unavailable|Too Many/);
				}
			}
		});

	test('clients that retry wait as long as Retry-After says, and then succeed', () => among(
		[sim('--tokens-per-second', '60'), gateway('--max-queue', '0')], async (_, server) => {
			await ollama.whole({ url: server.url, model: MODEL }); // from now on an answer is known to take a second
			for (const client of CLIENTS.filter((one) => one.retries)) {
				const running = ollama.whole({ url: server.url, model: MODEL });
				await until(async () => (await health(server)).active === 1, 'one runs');
				const began = Date.now();
				const text = await client.whole({ url: server.url, model: MODEL, retries: 5 });
				assert.ok(text.includes(SAY), `${client.name}: ${text}`);
				assert.ok(Date.now() - began >= 1000, `${client.name} did not wait`);
				await running;
			}
		}));

	for (const mode of ['error_line', 'no_end', 'cut_in_line', 'reset_between']) {
		together(`an answer that fails in the middle (${mode}) is an error`,
			[fake(mode), gateway('--max-active', '16', '--heartbeat', '0.05')], async (client, _, { url }) => {
				const error = await failure(textOf(client.stream({ url, model: FAKE_MODEL })));
				if (client.tells && mode === 'error_line' && !client.name.includes('openai')) assert.match(error.message, /CUDA error/);
			});
	}

	together('a collected answer that fails in the middle is an error', [fake('cut_in_chunk'), gateway('--max-active', '16')],
		async (client, _, { url }) => {
			await failure(client.whole({ url, model: FAKE_MODEL }));
		});

	for (const mode of ['pieces', 'merged', 'head_bytes', 'no_last_chunk', 'until_close']) {
		together(`an answer that comes in odd ways (${mode}) is whole`, [fake(mode), gateway('--max-active', '16')], async (client, _, { url }) => {
			assert.equal(await textOf(client.stream({ url, model: FAKE_MODEL })), FAKE_TEXT);
		});
	}

	together('embeddings', [sim(), gateway('--max-active', '16')], async (client, _, { url }) => {
		const values = {
			ollama: async () => (await new Ollama({ host: url }).embed({ model: MODEL, input: 'one' })).embeddings[0],
			openai: async () => (await new OpenAI({ baseURL: `${url}/v1`, apiKey: 'unused' }).embeddings.create({ model: MODEL, input: 'one', encoding_format: 'float' })).data[0].embedding,
			'ai + ollama-ai-provider-v2': async () => (await ai.embed({ model: createOllama({ baseURL: `${url}/api` }).embedding(MODEL), value: 'one' })).embedding,
			'ai + @ai-sdk/openai-compatible': async () => (await ai.embed({ model: createOpenAICompatible({ name: 'x', baseURL: `${url}/v1` }).embeddingModel(MODEL), value: 'one' })).embedding,
		}[client.name];
		if (values) assert.ok((await values()).length > 1);
	});
}
