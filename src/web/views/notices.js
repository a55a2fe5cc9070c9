// Bars above the message box that say what is wrong as long as it is: backend, models, storage.

import { announce, byId, h, icon } from '../dom.js';

const NO_MODEL = 'No model is installed on the server yet. The page looks again by itself.';
const STORAGE_WORDS = {
	full: 'This browser’s storage is full, so new messages are not being saved. Delete a few chats to make room.',
	off: 'This browser keeps nothing for this page, so your chats end when you close it.',
	unreadable: 'The chats stored in this browser could not be read. They were put aside, and new chats are saved as usual.',
};

export function mountNotices(store, models) {
	const box = byId('notices');
	let said = '';

	const render = () => {
		const notices = [modelNotice(store, models), storageNotice(store)].filter(Boolean);
		box.replaceChildren(...notices);
		const text = box.textContent;
		if (text !== said && text !== '') announce(text);
		said = text;
	};
	store.subscribe('models', render);
	store.subscribe('problem', render);
	render();
}

function modelNotice(store, models) {
	const { state, error } = store.models;
	const load = (event) => {
		event.currentTarget.disabled = true;
		models.load();
	};
	const retry = (label) => h('button', { type: 'button', class: 'notice-action', on: { click: load } }, label);
	if (state === 'down') return notice('warn', error, retry('Try again'));
	if (state === 'locked') return notice('warn', 'This server asks for an access key.', retry('Enter key'));
	if (state === 'empty') return notice('info', NO_MODEL, retry('Look again'));
	return null;
}

function storageNotice(store) {
	if (!store.problem) return null;
	return notice('warn', STORAGE_WORDS[store.problem],
		h('button', { type: 'button', class: 'notice-action', on: { click: () => store.dismissProblem() } }, 'OK'));
}

function notice(kind, text, action) {
	return h('div', { class: `notice ${kind}` }, icon(kind), h('p', {}, text), action);
}
