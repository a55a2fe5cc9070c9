// SPDX-License-Identifier: MIT
// Whatever a model or the storage says, nothing runs and nobody else is asked.

import assert from 'node:assert/strict';
import { answerByHand, chat, delta, DONE, json, ndjson, STORAGE_KEY } from '../visit.mjs';

const EVIL = `<script>window.pwned = 1</script>

<img src=x onerror="window.pwned = 2"> <svg onload="window.pwned = 3"> <iframe src="https://evil.example/"></iframe>

<style>body { display: none }</style><link rel="stylesheet" href="https://evil.example/a.css">

<a href="javascript:window.pwned = 4">html link</a> [md link](javascript:window.pwned=5) [tab](java\tscript:window.pwned=6)
[entity](&#106;avascript:window.pwned=7) [data](data:text/html,<script>window.pwned=8</script>) [relative](/api/chat) [vb](vbscript:x)

![pixel](https://evil.example/pixel.png) ![](http://evil.example/two.gif "t") ![a](javascript:window.pwned=9)

[good](https://example.com/a?b=1&c=2 "title\\" onmouseover=\\"window.pwned=10") https://example.org/auto <https://example.net/angle>

[ref][r]

\`<img src=x onerror=window.pwned=11>\`

\`\`\`html" onclick="window.pwned=12
<script>window.pwned = 13</script>
\`\`\`

| <b onclick="window.pwned=14">cell</b> | a<br>b |
| --- | --- |
| <script>window.pwned=15</script> | &lt;img src=x onerror=window.pwned=16&gt; |

<details open ontoggle="window.pwned=17"><form action="https://evil.example/"><input autofocus onfocus="window.pwned=18"></form></details>

[r]: javascript:window.pwned=19
`;

/** Looks at the whole page for anything that a model's words may not have become. */
async function isInert(v) {
	const found = await v.page.evaluate(() => ({
		pwned: window.pwned,
		elements: [...document.querySelectorAll(`#thread :is(script, iframe, style, link, form, object, embed, video, audio),
			#thread details:not(.thinking), #thread .markdown img`)].map((node) => node.outerHTML),
		handlers: [...document.querySelectorAll('*')].flatMap((node) => node.getAttributeNames()
			.filter((name) => name.startsWith('on') || (name === 'style' && node.closest('#thread')))),
		links: [...document.querySelectorAll('#thread a')].map((node) => [node.href, node.target, node.rel]),
		visible: getComputedStyle(document.body).display !== 'none',
	}));
	assert.equal(found.pwned, undefined);
	assert.deepEqual(found.elements, []);
	assert.deepEqual(found.handlers, []);
	assert.equal(found.visible, true);
	for (const [href, target, rel] of found.links) {
		assert.match(href, /^(https?:\/\/(example\.(com|org|net)|evil\.example)\/|mailto:)/);
		assert.equal(target, '_blank');
		assert.equal(rel, 'noopener noreferrer nofollow');
	}
	return found.links.map(([href]) => href);
}

export default [
	{
		name: 'the guard itself works: what the policy refuses and a foreign request are noticed',
		complaints: [/Content Security Policy/, /Failed to load resource/, /Access is denied for this document/],
		async run(v) {
			await v.open();
			await v.page.evaluate(async () => {
				const image = document.createElement('img');
				image.src = 'https://evil.example/pixel.png';
				document.body.append(image);
				document.body.setAttribute('style', 'color: red');
				await fetch('https://evil.example/').catch(() => {});
				await new Promise((next) => requestAnimationFrame(() => requestAnimationFrame(next)));
			});
			for (const directive of ['img-src', 'style-src', 'connect-src']) {
				const complains = v.console.some((line) => line.includes('Content Security Policy') && line.includes(directive));
				assert.ok(complains, `${directive} complains: ${v.console.join('\n')}`);
			}
			const tab = await v.newPage();
			await tab.goto('http://evil.invalid/').catch(() => {});
			assert.ok(v.foreign.includes('http://evil.invalid/'), 'a request to another host is seen');
			v.foreign.length = 0;
		},
	},
	{
		name: 'evil in an answer is text',
		async run(v) {
			await v.answer('chat', () => ndjson(delta(EVIL), DONE));
			await v.open();
			await v.ask('be evil');
			const links = await isInert(v);
			assert.ok(links.includes('https://example.com/a?b=1&c=2'), `links: ${links}`);
			assert.ok(links.includes('https://example.org/auto'));
			assert.ok(links.includes('https://evil.example/pixel.png'), 'an image is a link');
			const text = await v.lastAnswer();
			for (const words of [
				'<script>window.pwned = 1</script>', '<iframe src="https://evil.example/"></iframe>',
				'<img src=x onerror="window.pwned = 2">', 'md link', 'pixel',
			]) {
				assert.ok(text.includes(words), `shown as written: ${words}`);
			}
		},
	},
	{
		name: 'evil is as harmless while it streams, in pieces of any size',
		init: answerByHand,
		async run(v) {
			await v.open();
			await v.send('be evil');
			await v.until('the request', () => window.hand.requests.length === 1);
			for (const size of [1, 7, 64]) {
				await v.page.evaluate(async ([text, step]) => {
					for (let i = 0; i < text.length; i += step) {
						window.hand.write(text.slice(i, i + step));
						if (i % (step * 8) === 0) await new Promise((next) => requestAnimationFrame(next));
					}
				}, [`${EVIL}\n\n`, size]);
			}
			await v.page.evaluate(() => window.hand.write('The end of it'));
			await v.sees('The end of it');
			await isInert(v);
			await v.page.evaluate(() => window.hand.done());
			await v.idle();
			await isInert(v);
		},
	},
	{
		name: 'evil in stored chats, titles, model names and errors is text',
		storage: { [STORAGE_KEY]: JSON.stringify([chat('"><script>window.pwned=1</script>', '<img src=x onerror=window.pwned=2>', [
			['user', EVIL],
			['assistant', EVIL, { thinking: EVIL, model: '<b onclick=x>m</b>', error: EVIL, status: 'interrupted' }],
			['assistant', EVIL, { isError: true }],
		])]) },
		async run(v) {
			const name = '<img src=x onerror=window.pwned=3>';
			const details = [{
				name, parameter_size: '<script>window.pwned=4</script>', capabilities: ['completion', 'constructor', '__proto__'],
			}];
			await v.answer('models', () => json(200, { models: [name], count: 1, default: null, details }));
			await v.open();
			await v.page.locator('.chat-open').click();
			await v.page.locator('.thinking summary').first().click();
			await v.page.locator('#picker').click();
			await v.page.locator('.menu').waitFor();
			assert.deepEqual(await v.chats(), ['<img src=x onerror=window.pwned=2>']);
			await isInert(v);
		},
	},
	{
		name: 'Markdown is read as it should be',
		async run(v) {
			const text = [
				'# Head', '', '<div>', '*in html*', '</div>', '',
				'A &amp; B &#169; *em* **strong** ~~del~~ `a &amp; b`\\', 'same paragraph', '',
				'3. three', '4. four', '   - nested', '', '- [x] done', '- [ ] open', '',
				'> quote', '> > deeper', '', '```js', 'const a = 1 < 2;', '```', '', '    indented', '',
				'| a | b |', '|:-:|--:|', '| 1 | 2 |', '', '---', '',
				'$a_1 * b_2 * c$ and \\(d_1 * e_2\\) for $5 or $6', '', '[ref]', '', '[ref]: https://example.com/ref', '',
			].join('\n');
			await v.answer('chat', () => ndjson(delta(text), DONE));
			await v.open();
			await v.ask('markdown');
			const shape = await v.page.locator('.markdown').evaluate((root) => ({
				head: root.querySelector('h3.heading-1').textContent,
				html: root.querySelector('p').textContent,
				inHtml: root.querySelector('p em').textContent,
				first: root.querySelector('p + p').textContent,
				breaks: root.querySelector('p + p').querySelectorAll('br').length,
				start: root.querySelector('ol').start,
				nested: root.querySelector('ol ul li').textContent,
				boxes: [...root.querySelectorAll('.task input')].map((box) => box.checked),
				quotes: root.querySelectorAll('blockquote blockquote').length,
				code: [...root.querySelectorAll('pre code')].map((node) => node.textContent),
				coloured: root.querySelectorAll('.hljs-keyword').length,
				cells: [...root.querySelectorAll('td')].map((cell) => `${cell.textContent} ${cell.className}`),
				formulas: [...root.querySelectorAll('.formula')].map((node) => node.textContent),
				rules: root.querySelectorAll('hr').length,
				ref: root.querySelector('a').href,
			}));
			assert.deepEqual(shape, {
				head: 'Head', html: '<div>in html</div>', inHtml: 'in html',
				first: 'A & B © em strong del a &amp; bsame paragraph', breaks: 1,
				start: 3, nested: 'nested', boxes: [true, false], quotes: 1,
				formulas: ['$a_1 * b_2 * c$', '\\(d_1 * e_2\\)'],
				code: ['const a = 1 < 2;', 'indented'], coloured: 1,
				cells: ['1 align-center', '2 align-right'], rules: 1, ref: 'https://example.com/ref',
			});
		},
	},
	{
		name: 'a growing answer ends as the same answer at once does, whatever the pieces',
		init: answerByHand,
		async run(v) {
			const text = [
				'Intro', 'with two lines', '', '1. one', '', '2. two', '   more', '', '   - deep', '',
				'```python', 'print(1)', '', '', 'print(2)', '```', '', 'Setext', '===', '',
				'| a | b |', '| - | - |', '| 1 | 2 |', '', '> q', 'lazy', '', '* x', '* y', '', '  z', '',
				'[late] link and \\(a_1 * b_2 * c\\)', '', '~~~', 'fence', '~~~', 'end', '', '[late]: https://example.com/', '',
			].join('\n');
			await v.open();
			const answerIn = async (step) => {
				const before = await v.page.evaluate(() => window.hand.requests.length);
				await v.send(`in pieces of ${step}`);
				await v.until('the request', (n) => window.hand.requests.length > n, before);
				await v.page.evaluate(async ([words, size]) => {
					for (let i = 0; i < words.length; i += size) {
						window.hand.write(words.slice(i, i + size));
						await new Promise((next) => requestAnimationFrame(() => requestAnimationFrame(next)));
					}
					window.hand.done();
				}, [text, step]);
				await v.idle();
				return v.page.locator('.markdown').last().evaluate((root) => root.innerHTML);
			};
			const whole = await answerIn(10000);
			assert.match(whole, /<ol>.*<table>.*<blockquote>/s);
			assert.equal(await answerIn(3), whole);
			assert.equal(await answerIn(11), whole);
		},
	},
	{
		name: 'a long answer: finished blocks are left alone, and the work stays in proportion',
		init: answerByHand,
		async run(v) {
			await v.open();
			await v.send('long');
			await v.until('the request', () => window.hand.requests.length === 1);
			await v.page.evaluate(() => window.hand.write('First paragraph.\n\nSecond.\n\nThird.\n\nFourth.\n\n'));
			await v.sees('Fourth.');
			await v.page.locator('.markdown > p').first().evaluate((node) => { node.marked = true; });
			const work = await v.page.evaluate(async () => {
				const nextFrame = () => new Promise((next) => requestAnimationFrame(next));
				const real = RegExp.prototype.exec; // what the Markdown parser does its work with
				let calls = 0;
				RegExp.prototype.exec = function (text) {
					calls++;
					return real.call(this, text);
				};
				const writeAndCount = async (from, to) => {
					const before = calls;
					for (let i = from; i < to; i++) {
						window.hand.write(`Paragraph ${i} has **strong** words, \`code\` and a [link](https://example.com/${i}).\n\n`);
						if (i % 10 !== 9) continue;
						while (!document.querySelector('.markdown').textContent.includes(`Paragraph ${i} `)) await nextFrame();
					}
					return calls - before;
				};
				const first = await writeAndCount(0, 100);
				await writeAndCount(100, 500);
				const last = await writeAndCount(500, 600);
				RegExp.prototype.exec = real;
				window.hand.write('Very last words');
				return { first, last };
			});
			await v.page.getByText('Very last words').waitFor();
			assert.ok(work.first > 1000, 'the parser was seen at work');
			assert.ok(work.last < work.first * 1.5, `work for 100 paragraphs at the start ${work.first}, after 500 others ${work.last}`);
			await v.page.evaluate(() => window.hand.done());
			await v.idle();
			assert.equal(await v.page.locator('.markdown > p').count(), 605);
			assert.equal(await v.page.locator('.markdown > p').first().evaluate((node) => node.marked), true, 'the first block was never made anew');
		},
	},
	{
		name: 'nesting without end is shown plain, and the page lives',
		async run(v) {
			const replies = ['>'.repeat(3000), `${'- '.repeat(3000)}x`, `${'*a '.repeat(2000)}`, '['.repeat(5000)].map((text) => ndjson(delta(text), DONE));
			await v.answer('chat', () => replies.shift());
			await v.open();
			for (const words of ['quotes', 'lists', 'stars', 'brackets']) assert.ok((await v.ask(words)).length > 0, words);
			await v.untilStored('all of it', (list) => list[0].messages.length === 8);
		},
	},
];
