// SPDX-License-Identifier: MIT
// Starts the real chain, page to stand-in, in one process: `ollachat demo --ollama sim` on a free port.

import { spawn } from 'node:child_process';
import { resolve } from 'node:path';

const START_TIMEOUT_MS = 20000;
const STOP_TIMEOUT_MS = 10000;

/** The hosts the chain answers to. The last one is mapped to 127.0.0.1 in the browser: plain HTTP, not a secure context. */
export const INSECURE_HOST = 'ollachat.test';

/** -> { url, stop } */
export async function startChain(...options) {
	const program = resolve(process.env.OLLACHAT_BIN || 'dist/ollachat');
	const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(OLLACHAT|OLLAMA)_/.test(name)));
	const child = spawn(program, ['demo', '--listen', '127.0.0.1:0', '--ollama', 'sim',
		'--allowed-hosts', `127.0.0.1,localhost,${INSECURE_HOST}`, ...options], { env, stdio: ['ignore', 'pipe', 'pipe'] });
	let log = '';
	const url = await new Promise((done, fail) => {
		const timer = setTimeout(() => fail(new Error(`no "listening on" within ${START_TIMEOUT_MS / 1000} s:\n${log}`)), START_TIMEOUT_MS);
		const take = (bytes) => {
			log = (log + bytes).slice(-20000);
			const found = /listening on (http:\/\/127\.0\.0\.1:\d+)/.exec(log);
			if (found) {
				clearTimeout(timer);
				done(found[1]);
			}
		};
		child.stdout.on('data', take);
		child.stderr.on('data', take);
		child.on('error', fail);
		child.on('exit', (code, signal) => fail(new Error(`${program} ended early (${signal ?? code}):\n${log}`)));
	}).catch((error) => {
		child.kill('SIGKILL');
		throw error;
	});
	return { url: `${url}/`, stop: () => stopChain(child, () => log) };
}

/** Interrupts it as Ctrl-C would; it must end with 0. */
function stopChain(child, log) {
	return new Promise((done, fail) => {
		if (child.exitCode !== null || child.signalCode !== null) {
			fail(new Error(`the chain was gone before the end (${child.signalCode ?? child.exitCode}):\n${log()}`));
			return;
		}
		const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
		child.removeAllListeners('exit');
		child.on('exit', (code, signal) => {
			clearTimeout(timer);
			if (code === 0) done();
			else fail(new Error(`the chain ended with ${signal ?? code} after SIGINT:\n${log()}`));
		});
		child.kill('SIGINT');
	});
}
