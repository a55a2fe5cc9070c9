// What a new chat shows: a greeting and three prompts to begin with.

import { byId, h, icon } from '../dom.js';

const EXAMPLES = [
	{ icon: 'idea', title: 'Explain something', prompt: 'Explain in plain words how a language model writes its answers.' },
	{
		icon: 'code', title: 'Write some code',
		prompt: 'Write a Python function that counts the words in a text, and show the code.',
	},
	{ icon: 'table', title: 'Compare in a table', prompt: 'Show me a table that compares three ways to travel from Paris to Rome.' },
];

export function mountWelcome(store, composer) {
	const welcome = byId('welcome');
	const logo = document.querySelector('.brand img').src;
	welcome.append(
		h('img', { src: logo, width: '64', height: '64', alt: '', class: 'welcome-logo' }),
		h('p', { class: 'welcome-title' }, 'What can I help you with?'),
		h('p', { class: 'welcome-text' }, 'Answers come from your own server. Chats stay in this browser.'),
		h('div', { class: 'examples' }, ...EXAMPLES.map((example) => exampleCard(example, composer))));

	const render = () => {
		welcome.hidden = store.active !== null;
	};
	store.subscribe('active', render);
	render();
}

function exampleCard({ icon: name, title, prompt }, composer) {
	return h('button', { type: 'button', class: 'example', on: { click: () => composer.fill(prompt) } },
		icon(name), h('span', { class: 'example-title' }, title), h('span', { class: 'example-prompt' }, prompt));
}
