// The list of conversations by day: open, rename in place, delete with undo.

import { byId, h, icon, isNarrow } from '../dom.js';
import { openMenu } from './menu.js';
import { toast } from './toast.js';

const NO_CHATS = 'Your chats will appear here. They are kept in this browser only.';

export function mountSidebar(store, chat, drawer, composer) {
	const list = byId('chats');
	let renaming = null;

	const focusRow = (id) => {
		list.querySelector(`[data-id="${CSS.escape(id)}"] .chat-open`)?.focus({ preventScroll: true });
	};
	const newChat = () => {
		store.open(null);
		drawer.close();
		composer.focus();
	};
	byId('new-chat').addEventListener('click', newChat);
	byId('new-chat-top').addEventListener('click', newChat);

	const open = (id) => {
		store.open(id);
		drawer.close();
		if (!isNarrow()) composer.focus();
	};

	const remove = (id) => {
		chat.stop(id);
		const removed = store.remove(id);
		if (!removed) return;
		byId('new-chat').focus({ preventScroll: true });
		toast('Chat deleted.', { label: 'Undo', run: () => {
			store.restore(removed);
			open(removed.id);
		} });
	};

	const startRename = (id) => {
		renaming = id;
		render();
		const input = list.querySelector('input');
		input?.focus();
		input?.select();
	};
	const endRename = (id, title) => {
		if (renaming !== id) return;
		renaming = null;
		if (title !== null) store.rename(id, title);
		render();
		focusRow(id);
	};

	const renameField = (conversation) => {
		const input = h('input', {
			class: 'chat-rename', type: 'text', value: conversation.title, maxlength: '120', autocomplete: 'off',
			'aria-label': 'New name of the chat',
		});
		input.addEventListener('keydown', (event) => {
			if (event.isComposing) return;
			if (event.key === 'Enter') endRename(conversation.id, input.value);
			else if (event.key === 'Escape') endRename(conversation.id, null);
			else return;
			event.preventDefault();
			event.stopPropagation();
		});
		input.addEventListener('blur', () => endRename(conversation.id, input.value));
		return input;
	};

	const row = (conversation) => {
		const { id, title } = conversation;
		const active = id === store.activeId;
		if (renaming === id) return h('li', { class: 'chat', dataset: { id } }, renameField(conversation));
		const more = h('button', {
			type: 'button', class: 'icon-button chat-more',
			'aria-label': `More about ${title}`, 'aria-haspopup': 'menu', 'aria-expanded': 'false',
		}, icon('more'));
		more.addEventListener('click', () => openMenu(more, `Chat ${title}`, [
			{ label: 'Rename', icon: icon('rename'), choose: () => startRename(id) },
			{ label: 'Delete', icon: icon('delete'), danger: true, choose: () => remove(id) },
		], { align: 'end' }));
		return h('li', { class: active ? 'chat active' : 'chat', dataset: { id } },
			h('button', {
				type: 'button', class: 'chat-open', title, 'aria-current': active ? 'page' : null,
				on: { click: () => open(id), dblclick: () => startRename(id) },
			}, h('span', { class: 'chat-name' }, title), store.streams.has(id) ? runningMark() : null),
			more);
	};

	const render = () => {
		const focused = list.contains(document.activeElement) ? document.activeElement.closest('[data-id]')?.dataset.id : null;
		const groups = byDay(store.conversations).map(([day, conversations]) => h('section', { class: 'day' },
			h('h2', {}, day), h('ul', {}, ...conversations.map(row))));
		list.replaceChildren(...(groups.length > 0 ? groups : [h('p', { class: 'no-chats' }, NO_CHATS)]));
		if (focused && renaming === null) focusRow(focused);
	};

	const renderUnlessRenaming = () => {
		if (renaming === null) render();
	};
	store.subscribe('list', renderUnlessRenaming);
	store.subscribe('active', renderUnlessRenaming);
	let running = '';
	store.subscribe('stream', () => {
		const now = [...store.streams.keys()].join();
		if (now !== running) renderUnlessRenaming();
		running = now;
	});
	render();
}

function runningMark() {
	return h('span', { class: 'chat-running', role: 'img', 'aria-label': 'being answered' });
}

/** [day, conversations] pairs, in the order of the conversations. */
function byDay(conversations) {
	const days = new Map();
	for (const conversation of conversations) {
		const day = dayName(new Date(conversation.updatedAt));
		if (!days.has(day)) days.set(day, []);
		days.get(day).push(conversation);
	}
	return [...days];
}

function dayName(date) {
	const now = new Date();
	const midnight = (time) => new Date(time.getFullYear(), time.getMonth(), time.getDate()).getTime();
	const days = Math.round((midnight(now) - midnight(date)) / 86400000);
	if (days <= 0) return 'Today';
	if (days === 1) return 'Yesterday';
	const sameYear = date.getFullYear() === now.getFullYear();
	return date.toLocaleDateString(undefined, { month: 'long', day: 'numeric', ...(sameYear ? {} : { year: 'numeric' }) });
}
