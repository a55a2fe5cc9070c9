// SPDX-License-Identifier: MIT
// program.mjs: the program in a role, other processes a test needs, and the packages that are the clients.

import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import assert from 'node:assert/strict';
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const BINARY = path.resolve(process.env.OLLACHAT_BIN ?? path.join(ROOT, 'dist/ollachat'));
const MODULES = path.resolve(process.env.OLLACHAT_TEST_MODULES ?? path.join(ROOT, 'vendor/test'));
const SANITIZER = /(ERROR|WARNING|SUMMARY): \w*Sanitizer|runtime error: /;

const require = createRequire(path.join(MODULES, 'package.json'));

/** A package of the tests' own set. */
export const load = (name) => import(pathToFileURL(require.resolve(name)));

/** A process that says `listening on URL` when it is ready. */
class Process {
	static async start(name, command, args, more = {}) {
		const one = new this();
		const kept = Object.entries(process.env).filter(([key]) => !/^(OLLACHAT|OLLAMA)_/.test(key));
		const env = { ...Object.fromEntries(kept), ...more };
		one.name = name;
		one.log = '';
		one.process = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env });
		one.ended = new Promise((resolve) => one.process.once('close', (code, signal) => resolve(code ?? signal)));
		one.process.stderr.setEncoding('utf8').on('data', (text) => (one.log += text));
		one.url = await one.#listening();
		return one;
	}

	#listening() {
		return new Promise((resolve, reject) => {
			let said = '';
			this.process.once('error', reject);
			this.ended.then((code) => reject(new Error(`${this.name} ended with ${code}: ${this.log}`)));
			this.process.stdout.setEncoding('utf8').on('data', (text) => {
				said += text;
				const found = /listening on (http:\/\/\S+)/.exec(said);
				if (found) resolve(found[1]);
			});
		});
	}

	async stop() {
		this.process.kill('SIGTERM');
		await this.ended;
	}
}

/** The program in a role, on a free port. */
export class Server extends Process {
	static start(role, ...options) {
		return super.start(role, BINARY, [role, '--listen', '127.0.0.1:0', ...options]);
	}

	/** Ends it as Ctrl-C would; rejects unless it ended cleanly. */
	async stop() {
		this.process.kill('SIGINT');
		const timer = setTimeout(() => this.process.kill('SIGKILL'), 10000);
		const code = await this.ended;
		clearTimeout(timer);
		assert.equal(code, 0, `exit code of ${this.name}; log:\n${this.log.slice(-2000)}`);
		assert.doesNotMatch(this.log, SANITIZER);
	}
}

/** The program with a clock that can be wound (tests/clock/clock.c); it goes on by itself, too. */
export class WoundServer extends Server {
	static async start(role, ...options) {
		const flavour = path.basename(path.dirname(BINARY));
		const release = path.basename(process.env.RELEASE_DIR ?? 'build/release');
		const program = path.join(ROOT, 'build/wound', flavour === 'dist' ? release : flavour, 'ollachat');
		const folder = mkdtempSync(path.join(os.tmpdir(), 'ollachat-clock-'));
		const file = openSync(path.join(folder, 'face'), 'w+');
		ftruncateSync(file, 65536);
		const one = await Process.start.call(this, role, program, [role, '--listen', '127.0.0.1:0', ...options], { TEST_CLOCK: path.join(folder, 'face') });
		return Object.assign(one, { folder, file, wound: 0n });
	}

	wind(seconds) {
		this.wound += BigInt(seconds) * 1000000000n;
		const bytes = Buffer.alloc(8);
		bytes.writeBigInt64LE(this.wound);
		writeSync(this.file, bytes, 0, 8, 0);
	}

	async stop() {
		await super.stop();
		closeSync(this.file);
		rmSync(this.folder, { recursive: true });
	}
}

/** A scripted Ollama that answers all generations in one of the modes of tests/fake/upstream.py. */
export class Fake extends Process {
	static start(mode) {
		return super.start(`fake ${mode}`, 'python3', ['-B', path.join(ROOT, 'tests/fake/upstream.py'), '--mode', mode]);
	}
}

/** A load balancer in front of the server that cuts what is silent for so many seconds. */
export class Balancer extends Process {
	static start(kind, server, idle) {
		return super.start(kind, 'python3', ['-B', path.join(ROOT, 'tests/lib/balancer.py'), kind, server.url, String(idle)]);
	}
}

export async function until(condition, what) {
	const end = Date.now() + 10000;
	for (;;) {
		const value = await condition();
		if (value) return value;
		assert.ok(Date.now() < end, `waited 10 s for: ${what}`);
		await new Promise((resolve) => setTimeout(resolve, 10));
	}
}

export async function health(server) {
	return (await fetch(`${server.url}/health`)).json();
}
