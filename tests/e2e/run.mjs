// SPDX-License-Identifier: MIT
// The page in a real browser against the real chain. Usage: node tests/e2e/run.mjs [WORD...]: only scenarios whose names
// have one of the words. CHROMIUM: the browser; OLLACHAT_BIN: the program; E2E_URL (and E2E_URL_SLOW, where answers come
// slowly): a running server instead. Pictures go to build/screenshots/. Ends with `N passed, N failed`.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { INSECURE_HOST, startChain } from './chain.mjs';
import { Visit } from './visit.mjs';

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = join(HERE, '..', '..');
const SCENARIO_TIMEOUT_MS = 60000;
const BROWSER_OPTIONS = [
	'--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
	'--disable-component-update', '--disable-sync', '--disable-dev-shm-usage', `--host-resolver-rules=MAP ${INSECURE_HOST} 127.0.0.1`,
];

function findChromium() {
	for (const name of [process.env.CHROMIUM, 'chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']) {
		try {
			if (name) return execFileSync('/bin/sh', ['-c', 'command -v "$1"', 'sh', name], { encoding: 'utf8' }).trim();
		} catch { /* the next one */ }
	}
	throw new Error('no Chromium in PATH; name one in CHROMIUM');
}

/** playwright-core where vendor/fetch.sh puts it, or where PLAYWRIGHT_DIR says. */
function loadPlaywright() {
	const require = createRequire(join(process.env.PLAYWRIGHT_DIR || join(ROOT, 'vendor', 'test'), 'package.json'));
	return require('playwright-core');
}

async function startServers() {
	if (process.env.E2E_URL) return { url: process.env.E2E_URL, slowUrl: process.env.E2E_URL_SLOW || process.env.E2E_URL, stop: async () => {} };
	const fast = await startChain('--tokens-per-second', '80', '--first-token-delay', '0.1');
	const slow = await startChain('--tokens-per-second', '8', '--first-token-delay', '0.1').catch(async (error) => {
		await fast.stop();
		throw error;
	});
	return { url: fast.url, slowUrl: slow.url, stop: async () => {
		const ends = await Promise.allSettled([fast.stop(), slow.stop()]);
		for (const end of ends) if (end.status === 'rejected') throw end.reason;
	} };
}

async function loadScenarios(words) {
	const files = readdirSync(join(HERE, 'scenarios')).filter((name) => name.endsWith('.mjs')).sort();
	const all = [];
	for (const file of files) {
		const { default: scenarios } = await import(pathToFileURL(join(HERE, 'scenarios', file)).href);
		all.push(...scenarios.map((scenario) => ({ ...scenario, name: `${file.replace('.mjs', '')}: ${scenario.name}` })));
	}
	return all.filter(({ name }) => words.length === 0 || words.some((word) => name.includes(word)));
}

function within(ms, promise) {
	let timer;
	const late = new Promise((_, fail) => {
		timer = setTimeout(() => fail(new Error(`not done within ${ms / 1000} s`)), ms);
	});
	return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Runs one scenario; on failure leaves a picture of what the page looked like. */
async function runScenario(browser, servers, shots, scenario) {
	const url = scenario.slow ? servers.slowUrl : servers.url;
	const visit = await Visit.begin(browser, url, scenario);
	visit.shot = (name) => visit.page.screenshot({ path: join(shots, `${name}.png`), animations: 'disabled' });
	try {
		await within(SCENARIO_TIMEOUT_MS, scenario.run(visit));
	} catch (error) {
		await visit.page.screenshot({ path: join(shots, `failed-${scenario.name.replace(/\W+/g, '-')}.png`), timeout: 5000 }).catch(() => {});
		await visit.context.close().catch(() => {});
		throw error;
	}
	await visit.end();
}

async function main() {
	const words = process.argv.slice(2);
	const scenarios = await loadScenarios(words);
	const shots = join(ROOT, 'build', 'screenshots');
	mkdirSync(shots, { recursive: true });
	const servers = await startServers();
	const browser = await loadPlaywright().chromium.launch({ executablePath: findChromium(), headless: true, args: BROWSER_OPTIONS, timeout: 60000 });
	let passed = 0;
	let failed = 0;
	const count = (name, began, error) => {
		const took = `${((performance.now() - began) / 1000).toFixed(1)} s`;
		if (error) failed++;
		else passed++;
		console.log(error ? `FAILED  ${name} (${took})\n${indent(error)}` : `ok      ${name} (${took})`);
	};
	for (const scenario of scenarios) {
		const began = performance.now();
		await runScenario(browser, servers, shots, scenario).then(() => count(scenario.name, began), (error) => count(scenario.name, began, error));
	}
	await browser.close();
	const began = performance.now();
	await servers.stop().then(() => count('the chain ends cleanly', began), (error) => count('the chain ends cleanly', began, error));
	if (passed + failed === 1) failed++; // no scenario has run: that is no success
	console.log(`${passed} passed, ${failed} failed`);
	process.exitCode = failed > 0 ? 1 : 0;
}

function indent(error) {
	const cause = error.cause ? `\ncause: ${String(error.cause.message ?? error.cause).split('\n')[0]}` : '';
	return `${error.stack ?? error}${cause}`.replace(/^/gm, '        ');
}

main().catch((error) => {
	console.log(indent(error));
	console.log('0 passed, 1 failed');
	process.exitCode = 1;
});
